/*
 * Failing the nth allocation of what builds manifests and indexes, for every n (STYLE 10): no memory or success, and nothing lost.
 */
#include "../../support/failing_malloc.h"
#include "oci/artifact_manifest.h"
#include "oci/artifact_title.h"
#include "oci/index_build.h"
#include "oci/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define HEX "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TYPE "application/vnd.example.one-that-nobody-knows+json"
#define ENTRY "{\"mediaType\":\"" TYPE "\",\"digest\":\"sha256:" HEX "\",\"size\":7}"

static int build_artifact(void *unused, davit_error **err)
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

static int name_title(void *unused, davit_error **err)
{
    char *title = NULL;
    int r = dv_artifact_title_of_path("./dir/file", &title, err);
    free(title);
    return r;
}

static int edit_index(void *unused, davit_error **err)
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

static void build__survives_any_failed_allocation(void **state)
{
    unsigned wrong = fail_each_allocation("artifact", build_artifact, NULL, 0);
    wrong += fail_each_allocation("title", name_title, NULL, 0);
    wrong += fail_each_allocation("index", edit_index, NULL, 0);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(build__survives_any_failed_allocation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
