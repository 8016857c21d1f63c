/*
 * Failing the nth allocation of what builds manifests and indexes, for every n (STYLE 10): no memory or success, and nothing lost. Jansson
 * keeps its own allocations.
 */
#include "oci/artifact_manifest.h"
#include "oci/artifact_title.h"
#include "oci/index_build.h"
#include "oci/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool armed, hit, all_behind;
static long left, live;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

static bool fails(void)
{
    if (!armed)
        return false;
    if (hit)
        return all_behind;
    hit = left-- == 0;
    return hit;
}

void *__wrap_malloc(size_t size)
{
    void *p = fails() ? NULL : __real_malloc(size);
    live += p != NULL;
    return p;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *p = fails() ? NULL : __real_calloc(count, size);
    live += p != NULL;
    return p;
}

void *__wrap_realloc(void *p, size_t size)
{
    void *grown = fails() ? NULL : __real_realloc(p, size);
    live += grown && !p;
    return grown;
}

void __wrap_free(void *p)
{
    live -= p != NULL;
    __real_free(p);
}

typedef int case_fn(davit_error **err);

#define HEX "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TYPE "application/vnd.example.one-that-nobody-knows+json"
#define ENTRY "{\"mediaType\":\"" TYPE "\",\"digest\":\"sha256:" HEX "\",\"size\":7}"

static int build_artifact(davit_error **err)
{
    static const davit_annotation annotations[] = {{"b", "2"}, {"a", "1"}};
    dv_artifact_layer layers[] = {{{.media_type = TYPE, .size = 3}, "dir/file"}};
    davit_manifest *m = NULL;
    dv_json *document = NULL;
    const char **titles = NULL;
    memcpy(layers[0].descriptor.digest.text, "sha256:" HEX, sizeof("sha256:" HEX));
    int r = dv_artifact_manifest_build(&(dv_artifact){.artifact_type = TYPE,
                                                      .layers = layers,
                                                      .layer_count = 1,
                                                      .annotations = annotations,
                                                      .annotation_count = 2},
                                       &m, err);
    if (r == 0)
        r = dv_artifact_titles(m, &document, &titles, err);
    dv_json_free(document);
    free(titles);
    davit_manifest_free(m);
    return r;
}

static int name_title(davit_error **err)
{
    char *title = NULL;
    int r = dv_artifact_title_of_path("./dir/file", &title, err);
    free(title);
    return r;
}

static int edit_index(davit_error **err)
{
    static const char text[] = "{\"schemaVersion\":2,\"manifests\":[" ENTRY "]}";
    static const davit_annotation annotation = {"k", "v"};
    DV_AUTOPTR(davit_manifest) before = NULL;
    DV_AUTOPTR(davit_manifest) after = NULL;
    DV_AUTOPTR(dv_index_edit) e = NULL;
    dv_json *entry = NULL;
    int r = davit_manifest_parse(text, strlen(text), NULL, &before, err);
    if (r == 0)
        r = dv_index_edit_new(before, &e, err);
    if (r == 0)
        r = dv_index_entry_build(before, NULL, /* with_annotations= */ true, &entry, err);
    if (r == 0)
        r = dv_index_edit_add(e, entry, err);
    if (r == 0)
        r = dv_index_edit_remove(e, 0, err);
    if (r == 0)
        r = dv_index_edit_annotate(e, &annotation, 1, err);
    return r < 0 ? r : dv_index_edit_finish(e, &after, err);
}

/* False: the nth allocation was never reached. */
static bool run_nth(const char *name, case_fn *run, long n, bool forever)
{
    davit_error *err = NULL;
    long before = live;
    hit = false;
    all_behind = forever;
    left = n;
    armed = true;
    int r = run(&err);
    armed = false;
    if ((r != 0 && (!hit || r != DAVIT_ENOMEM)) || (r < 0) != (err != NULL))
        fail_msg("%s: allocation %ld%s: %s: %s", name, n, forever ? " and all behind" : "",
                 davit_code_name(r), davit_error_message(err));
    davit_error_free(err);
    if (live != before)
        fail_msg("%s: allocation %ld%s: %ld lost", name, n, forever ? " and all behind" : "", live - before);
    return hit;
}

static void build__survives_any_failed_allocation(void **state)
{
    static const struct {
        const char *name;
        case_fn *run;
    } cases[] = {{"artifact", build_artifact}, {"title", name_title}, {"index", edit_index}};
    for (size_t i = 0; i < DV_COUNT(cases); i++)
        for (int forever = 0; forever < 2; forever++) {
            long n = 0;
            while (run_nth(cases[i].name, cases[i].run, n, forever))
                n++;
            assert_true(n > 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(build__survives_any_failed_allocation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
