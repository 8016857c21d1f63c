/* oci/artifact_title.c - see artifact_title.h. The file system is not asked. */
#include "oci/artifact_title.h"

#include "util/buf.h"
#include "util/str.h"

#include <string.h>

#define SHOWN_MAX 200 /* bytes of a title that a message repeats */

static int refuse(const char *title, const char *why, davit_error **err)
{
    DV_AUTO(dv_buf) shown = DV_BUF_INIT(8 * SHOWN_MAX);
    size_t n = strlen(title);
    dv_str_escape(&shown, title, n < SHOWN_MAX ? n : SHOWN_MAX, /* keep_newlines= */ false);
    return dv_error_set(err, DAVIT_EFORMAT, "title \"%s\" cannot name a file: %s", dv_buf_text(&shown), why);
}

static bool is_dots(const char *component, size_t n)
{
    return (n == 1 && component[0] == '.') || (n == 2 && component[0] == '.' && component[1] == '.');
}

static bool has_control_bytes(const char *title)
{
    for (const char *p = title; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return true;
    return false;
}

int dv_artifact_title_check(const char *title, davit_error **err)
{
    if (!*title)
        return refuse(title, "it is empty", err);
    if (strlen(title) > DV_TITLE_MAX)
        return refuse(title, "it is too long", err);
    if (has_control_bytes(title))
        return refuse(title, "it holds control characters", err);
    for (const char *p = title;; p++) {
        size_t n = strcspn(p, "/");
        if (n == 0)
            return refuse(title, p == title ? "it is absolute" : "it has an empty part", err);
        if (is_dots(p, n))
            return refuse(title, "it has . or .. in it", err);
        if (n > DV_TITLE_COMPONENT_MAX)
            return refuse(title, "a part of it is too long", err);
        p += n;
        if (!*p)
            return 0;
    }
}

int dv_artifact_title_of_path(const char *path, char **out, davit_error **err)
{
    DV_AUTO(dv_buf) title = DV_BUF_INIT(DV_TITLE_MAX + 1);
    const char *start = path;
    while (start[0] == '.' && start[1] == '/')
        start += 2 + strspn(start + 2, "/");
    if (dv_artifact_title_check(start, NULL) < 0) {
        const char *slash = strrchr(start, '/');
        start = slash ? slash + 1 : start;
    }
    int r = dv_artifact_title_check(start, NULL);
    if (r < 0)
        return dv_error_set(err, DAVIT_EINVAL, "%s: not the name of a file that could be a title", path);
    dv_buf_puts(&title, start);
    char *text = dv_buf_take(&title);
    if (!text)
        return dv_error_oom(err);
    *out = text;
    return 0;
}
