/*
 * util/environment.h - the environment as something passed in: the library decides by values and never
 * reads it by itself.
 */
#ifndef DV_UTIL_ENVIRONMENT_H
#define DV_UTIL_ENVIRONMENT_H

/* getenv() or what stands for it. The text is borrowed and copied at once; NULL when unset. */
typedef char *dv_getenv_fn(const char *name);

#endif
