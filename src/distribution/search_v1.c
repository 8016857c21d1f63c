/* distribution/search_v1.c - see search_v1.h. Every page says how many there are; none of them is believed (threats C4). */
#include "distribution/search_v1.h"

#include "oci/v1_image.h"
#include "registry/v1_client.h"
#include "store/digest_set.h"

#include <string.h>

#define PAGE_SIZE 100 /* results of a search */
#define PAGES_MAX 10000
#define NAMES_BYTES_MAX (8u << 20) /* of all repositories, with what malloc() adds */
#define NAME_OVERHEAD 40

DV_DEFINE_AUTOPTR(davit_v1_search_results, davit_v1_search_results_free)

/* 1: a name that was not found before. */
static int add_name(const char *name, davit_v1_texts *names, dv_digest_set *known, size_t *bytes,
                    davit_error **err)
{
    davit_digest digest;
    int r = davit_digest_of(DAVIT_SHA256, name, strlen(name), &digest, err);
    if (r == 0)
        r = dv_digest_set_add(known, &digest, NULL, err);
    if (r <= 0)
        return r;
    *bytes += strlen(name) + NAME_OVERHEAD;
    if (*bytes > NAMES_BYTES_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "more than %u MiB of repositories", NAMES_BYTES_MAX >> 20);
    return dv_v1_texts_add(names, name, strlen(name)) ? 1 : dv_error_oom(err);
}

/* 1: there may be more on the next page. A page that says nothing new is the last, whatever it counts (threats C4). */
static int add_page(const davit_v1_search_results *page, davit_v1_texts *names, dv_digest_set *known,
                    size_t *bytes, davit_error **err)
{
    bool more = false;
    for (size_t i = 0; i < page->count; i++) {
        const char *name = page->items[i].name ? page->items[i].name : "";
        int r = *name ? add_name(name, names, known, bytes, err) : 0;
        if (r < 0)
            return r;
        more = more || r > 0;
    }
    return more;
}

/* As nobody, as searches are; a registry behind somebody else's lock answers its user only. */
static int search_page(dv_v1_search *s, int64_t page, davit_v1_search_results **out, davit_error **err)
{
    const char *text = s->text ? s->text : "";
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_v1_search_as(s->asked, s->user, text, page, PAGE_SIZE, out, &why);
    if (r == DAVIT_EUNAUTHORIZED && !s->user) {
        r = dv_v1_client_user(s->asked, s->open, &s->user, err);
        if (r < 0)
            return r;
        if (s->user)
            return dv_v1_search_as(s->asked, s->user, text, page, PAGE_SIZE, out, err);
        r = DAVIT_EUNAUTHORIZED;
    }
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

/* A registry that stands alone knows no pages, and says so by not counting them. */
int dv_v1_search_all(dv_v1_search *s, davit_v1_texts *names, davit_error **err)
{
    DV_AUTO(dv_digest_set) known = {.count = 0};
    size_t bytes = 0;
    for (int64_t page = 1; page <= PAGES_MAX; page++) {
        DV_AUTOPTR(davit_v1_search_results) found = NULL;
        int r = search_page(s, page, &found, err);
        if (r == 0)
            r = add_page(found, names, &known, &bytes, err);
        if (r <= 0 || found->num_pages <= page)
            return r < 0 ? r : 0;
    }
    return dv_error_set(err, DAVIT_ETOOBIG, "a search of more than %d pages", PAGES_MAX);
}
