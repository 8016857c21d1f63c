/* registry/headers.c - davit_headers(): the lines that every request to a registry has besides its own (service.md 13). */
#include "davit/service.h"

#include "net/header.h"

#include <string.h>

DV_DEFINE_AUTOPTR(davit_header_modifiers, davit_header_modifiers_free)

static void clear_modifier(davit_header_modifier *m)
{
    for (char **line = m->lines; line && *line; line++)
        davit_secret_free(*line); /* a meta header may be one */
    free(m->lines);
}

void davit_header_modifiers_free(davit_header_modifiers *modifiers)
{
    if (!modifiers)
        return;
    for (size_t i = 0; i < modifiers->count; i++)
        clear_modifier(&modifiers->items[i]);
    free(modifiers->items);
    free(modifiers);
}

/* Whether a line can be sent; what the writer of requests would refuse is refused here already. */
static int check_line(const char *line, davit_error **err)
{
    DV_AUTO(dv_headers) scratch = DV_HEADERS_INIT;
    const char *colon = strchr(line, ':');
    if (!colon)
        return dv_error_set(err, DAVIT_EINVAL, "a header is not of the form \"Name: value\"");
    DV_AUTOFREE char *name = dv_strndup(line, (size_t)(colon - line));
    if (!name)
        return dv_error_oom(err);
    return dv_headers_add(&scratch, name, colon + 1 + strspn(colon + 1, " \t"), DV_HEADER_SECRET, err);
}

static int add_modifier(davit_header_modifiers *modifiers, const char *const *lines, davit_error **err)
{
    davit_header_modifier *m = &modifiers->items[modifiers->count++];
    size_t count = 0;
    while (lines[count])
        count++;
    m->lines = dv_new_array(char *, count + 1);
    if (!m->lines)
        return dv_error_oom(err);
    for (size_t i = 0; i < count; i++) {
        int r = check_line(lines[i], err);
        if (r < 0)
            return r;
        m->lines[i] = dv_strdup(lines[i]);
        if (!m->lines[i])
            return dv_error_oom(err);
    }
    return 0;
}

static int add_user_agent(davit_header_modifiers *modifiers, const char *user_agent, davit_error **err)
{
    DV_AUTO(dv_buf) line = DV_BUF_INIT(SIZE_MAX / 4);
    dv_buf_printf(&line, "User-Agent: %s", user_agent);
    if (line.failed)
        return dv_error_oom(err);
    return add_modifier(modifiers, (const char *const[]){dv_buf_text(&line), NULL}, err);
}

int davit_headers(const char *user_agent, const char *const *meta_headers, davit_header_modifiers **out,
                  davit_error **err)
{
    DV_AUTOPTR(davit_header_modifiers) modifiers = dv_new(davit_header_modifiers);
    if (!modifiers || !(modifiers->items = dv_new_array(davit_header_modifier, 2)))
        return dv_error_oom(err);
    int r = user_agent && *user_agent ? add_user_agent(modifiers, user_agent, err) : 0;
    if (r == 0 && meta_headers)
        r = add_modifier(modifiers, meta_headers, err);
    if (r < 0)
        return r;
    *out = DV_STEAL(modifiers);
    return 0;
}
