#include "shared.h"

#include <errno.h>
#include <sys/mman.h>

void *shared_alloc(size_t size)
{
    void *memory;

    if (size == 0) {
        errno = EINVAL;
        return NULL;
    }
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void shared_free(void *memory, size_t size)
{
    if (memory != NULL)
        munmap(memory, size);
}
