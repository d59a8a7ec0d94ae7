# report.awk -- one row of the benchmark: medians, spreads, goals.
#
#     awk -v row=NAME -f report.awk rows FIGURES
#
# FIGURES has a line "LABEL ROUND NUMBER" for each number measured, and
# "LABEL absent WHY" for what is not installed.  A ratio is taken in
# each round, where both sides had the same machine, and then their
# median.  It says how many times as good ours is.

function sort(list, count,    i, j, item)
{
    for (i = 2; i <= count; i++) {
        item = list[i]
        for (j = i - 1; j >= 1 && list[j] > item; j--)
            list[j + 1] = list[j]
        list[j + 1] = item
    }
}

# Both for a list that is sorted.
function median(list, count)
{
    return (list[int((count + 1) / 2)] + list[int(count / 2) + 1]) / 2
}

function spread(list, count)
{
    return sprintf("%6s .. %s", short(list[1]), short(list[count]))
}

# Three digits that count.
function short(x,    size, format)
{
    size = x < 0 ? -x : x
    format = "%.3f"
    if (size >= 1)
        format = "%.2f"
    if (size >= 10)
        format = "%.1f"
    if (size >= 100)
        format = "%.0f"
    return sprintf(format, x)
}

# The numbers of a contestant, sorted.  Returns how many.
function values(label, list,    round, count)
{
    for (round = 1; round <= rounds; round++)
        if ((label, round) in figure)
            list[++count] = figure[label, round]
    sort(list, count)
    return count + 0
}

# How many times as good as `label` ours was in each round, sorted.
function ratios(label, list,    round, count, mine, other)
{
    for (round = 1; round <= rounds; round++) {
        if (!(("ours", round) in figure) || !((label, round) in figure))
            continue
        mine = figure["ours", round]
        other = figure[label, round]
        if (mine <= 0 || other <= 0)
            continue
        list[++count] = better == "less" ? other / mine : mine / other
    }
    sort(list, count)
    return count + 0
}

function print_contestant(label,    list, count, line)
{
    count = values(label, list)
    if (count == 0) {
        printf "  %-19s  %s\n", label,
               label in absent ? absent[label] : "not measured"
        return
    }
    line = sprintf("  %-19s  %6s  %-19s", label,
                   short(median(list, count)), spread(list, count))
    count = ratios(label, list)
    if (label != "ours" && count > 0)
        line = line sprintf("  %6s  %s", short(median(list, count)),
                            spread(list, count))
    sub(/ +$/, "", line)
    print line
}

function verdict(level, words, seen, reached)
{
    printf "  %-8s  %-35s  %6s  %s\n", level, words, seen, reached
}

# What a goal asks for.
function wish(number, how, label)
{
    if (how == "times")
        return number " times as good as " label
    if (how == "within")
        return "at most " number " times " label
    if (better == "less")
        return "at most " number " " unit
    return "no less than " number " " unit
}

# `seen` is what `wish` speaks of.
function is_reached(seen, number, how)
{
    if (how == "within" || how == "value" && better == "less")
        return seen <= number + 0
    return seen >= number + 0
}

function print_goal(level, number, how, label,    list, count, seen)
{
    count = how == "value" ? values("ours", list) : ratios(label, list)
    if (count == 0) {
        verdict(level, wish(number, how, label), "",
                ours_failed ? "NOT reached" : "not measured")
        return
    }
    seen = median(list, count)
    if (how == "within")
        seen = 1 / seen
    verdict(level, wish(number, how, label), short(seen),
            is_reached(seen, number, how) ? "reached" : "NOT reached")
}

FILENAME == ARGV[1] && $1 == "row" {
    here = $2 == row
    if (here) {
        unit = $4
        better = $5
    }
}
FILENAME == ARGV[1] && here && $1 == "run" {
    labels[++contestants] = $2
}
FILENAME == ARGV[1] && here && $1 == "goal" {
    goals[++wanted] = $0
}

FILENAME != ARGV[1] && $2 == "absent" {
    label = $1
    sub(/^[^ ]+ absent /, "")
    absent[label] = $0
    next
}
FILENAME != ARGV[1] {
    figure[$1, $2] = $3 + 0
    if ($2 > rounds)
        rounds = $2
}

END {
    printf "  %-19s  %6s  %-19s  %s\n", "", unit, "   min .. max",
           "ours is so many times as good"
    for (i = 1; i <= contestants; i++)
        print_contestant(labels[i])
    ours_failed = values("ours", list) == 0 && !("ours" in absent)
    for (i = 1; i <= wanted; i++) {
        split(goals[i], goal, " ")
        sub(/-/, " ", goal[2])
        print_goal(goal[2], goal[3], goal[4], goal[5])
    }
}
