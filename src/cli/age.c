/* cli/age.c - see age.h. */
#include "cli/age.h"

#include "util/alloc.h"

#include <stdio.h>

void dv_age_describe(int64_t seconds, char out[32])
{
    static const struct {
        int64_t below, unit;
        const char *word;
    } steps[] = {
        {60, 1, "seconds"},
        {3600, 60, "minutes"},
        {48 * 3600, 3600, "hours"},
        {14 * 86400, 86400, "days"},
        {60 * 86400, 7 * 86400, "weeks"},
        {730 * 86400, 30 * 86400, "months"},
    };
    if (seconds < 1)
        snprintf(out, 32, "Less than a second ago");
    else if (seconds == 1)
        snprintf(out, 32, "1 second ago");
    else if (seconds >= 60 && seconds < 120)
        snprintf(out, 32, "About a minute ago");
    else if (seconds >= 3600 && seconds < 5400)
        snprintf(out, 32, "About an hour ago");
    else {
        for (size_t i = 0; i < DV_COUNT(steps); i++)
            if (seconds < steps[i].below) {
                snprintf(out, 32, "%lld %s ago", (long long)(seconds / steps[i].unit), steps[i].word);
                return;
            }
        snprintf(out, 32, "%lld years ago", (long long)(seconds / (365 * 86400)));
    }
}
