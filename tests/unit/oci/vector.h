/* A document of tests/vectors, found beside the source of the test. */
#ifndef TEST_VECTOR_H
#define TEST_VECTOR_H

#include "util/file.h"

#include <fcntl.h>
#include <libgen.h>
#include <string.h>

static inline void read_vector(const char *name, dv_buf *out)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(4096);
    DV_AUTOFREE char *here = dv_strdup(__FILE__);
    DV_AUTOPTR(davit_error) err = NULL;
    dv_buf_printf(&path, "%s/../../vectors/%s", dirname(here), name);
    if (dv_file_read(AT_FDCWD, dv_buf_text(&path), out->max, out, &err) < 0)
        fail_msg("%s", davit_error_message(err));
}

#endif
