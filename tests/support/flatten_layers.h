/* tests/support/flatten_layers.h - layers as rows of a table become one tar, and that becomes files: they must be those of unpack_layers.h. */
#ifndef DV_TESTS_FLATTEN_LAYERS_H
#define DV_TESTS_FLATTEN_LAYERS_H

#include "archive/flatten.h"
#include "unpack_layers.h"

/* The flattened tar of some layers. */
int flatten_rows(const sandbox *s, const row *const *layers, dv_buf *tar, davit_error **err);
/* One tar as the only layer of a root. */
int unpack_tar(const sandbox *s, const void *bytes, size_t size, davit_error **err);
/* The tree or the error of the case, by way of a flattened tar. Fails with fact, expected and got. */
void check_flattened(const unpack_case *c);

#endif
