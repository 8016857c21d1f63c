/* cli/age.h - how long something is ago, in Docker's words. */
#ifndef DV_CLI_AGE_H
#define DV_CLI_AGE_H

#include <stdint.h>

void dv_age_describe(int64_t seconds, char out[32]);

#endif
