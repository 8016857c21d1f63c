/* tests/unit/store/image_test.h - images with real manifests and configs in the store of store_test.h. */
#ifndef DV_TEST_IMAGE_TEST_H
#define DV_TEST_IMAGE_TEST_H

#include "store_test.h"

#include "davit/store.h"
#include "oci/reference.h"
#include "store/content_store.h"
#include "store/image_store.h"
#include "store/ingest.h"

#define LAYERS(...) ((const char *const[]){__VA_ARGS__, NULL})

typedef struct test_image {
    davit_digest manifest, config;
    davit_digest layers[8], chains[8];
    size_t layer_count, config_size, manifest_size;
} test_image;

UNUSED static davit_digest put_bytes(dv_store *s, const char *bytes, size_t size)
{
    davit_error *err = NULL;
    davit_descriptor d = describe(bytes, size);
    assert_ok(dv_content_put(s, &d, bytes, &err));
    return d.digest;
}

UNUSED static davit_digest put_text(dv_store *s, const char *text)
{
    return put_bytes(s, text, strlen(text));
}

/* The config of these layers: their names stand for their tars. extra: more members, each with a comma in front. */
UNUSED static davit_digest put_config(dv_store *s, const char *const *layers, const char *extra,
                                      test_image *out)
{
    char text[4096], *end = text;
    end += sprintf(end,
                   "{\"os\":\"linux\",\"architecture\":\"amd64\"%s,\"rootfs\":{\"type\":\"layers\","
                   "\"diff_ids\":[",
                   extra ? extra : "");
    for (size_t i = 0; layers[i]; i++) {
        davit_digest diff_id[2];
        char tar[64];
        snprintf(tar, sizeof(tar), "tar of %s", layers[i]);
        diff_id[1] = describe(tar, strlen(tar)).digest;
        diff_id[0] = i ? out->chains[i - 1] : diff_id[1];
        assert_int_equal(davit_chain_id(diff_id, i ? 2 : 1, &out->chains[i], NULL), 0);
        end += sprintf(end, "%s\"%s\"", i ? "," : "", diff_id[1].text);
    }
    sprintf(end, "]}}");
    out->config = put_text(s, text);
    out->config_size = strlen(text);
    return out->config;
}

#define OCI_TYPE "application/vnd.oci.image."

/* A manifest of these layers, whose names are their bytes. */
UNUSED static test_image put_image(dv_store *s, const char *const *layers, const char *extra)
{
    test_image image = {0};
    char text[4096], *end = text;
    put_config(s, layers, extra, &image);
    end += sprintf(end,
                   "{\"schemaVersion\":2,\"mediaType\":\"" OCI_TYPE "manifest.v1+json\",\"config\":"
                   "{\"mediaType\":\"" OCI_TYPE "config.v1+json\",\"digest\":\"%s\",\"size\":%zu},"
                   "\"layers\":[",
                   image.config.text, image.config_size);
    for (; layers[image.layer_count]; image.layer_count++) {
        const char *layer = layers[image.layer_count];
        image.layers[image.layer_count] = put_text(s, layer);
        end += sprintf(end, "%s{\"mediaType\":\"" OCI_TYPE "layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}",
                       image.layer_count ? "," : "", image.layers[image.layer_count].text, strlen(layer));
    }
    sprintf(end, "]}");
    image.manifest = put_text(s, text);
    image.manifest_size = strlen(text);
    return image;
}

/* An index of these manifests. */
UNUSED static davit_digest put_index(dv_store *s, const test_image *images, size_t count)
{
    char text[4096], *end = text;
    end += sprintf(end, "{\"schemaVersion\":2,\"mediaType\":\"" OCI_TYPE "index.v1+json\",\"manifests\":[");
    for (size_t i = 0; i < count; i++) {
        end +=
            sprintf(end, "%s{\"mediaType\":\"" OCI_TYPE "manifest.v1+json\",\"digest\":\"%s\",\"size\":%zu}",
                    i ? "," : "", images[i].manifest.text, images[i].manifest_size);
    }
    sprintf(end, "]}");
    return put_text(s, text);
}

/* What a pull of reference records; index may be NULL. */
UNUSED static void record_images(dv_store *s, const char *reference, const davit_digest *index,
                                 const test_image *images, size_t count)
{
    davit_error *err = NULL;
    DV_AUTOPTR(davit_reference) ref = NULL;
    dv_image_row rows[8] = {0};
    bool updated;
    assert_ok(davit_reference_parse(reference, &ref, &err));
    for (size_t i = 0; i < count; i++) {
        rows[i] = (dv_image_row){.manifest = images[i].manifest, .config = images[i].config, .size = 100};
        snprintf(rows[i].platform.os, DAVIT_PLATFORM_PART_MAX, "linux");
        snprintf(rows[i].platform.architecture, DAVIT_PLATFORM_PART_MAX, "amd64");
        if (index)
            rows[i].index = *index;
    }
    dv_pull_record record = {
        .reference = ref,
        .target = {.media_type = index ? OCI_TYPE "index.v1+json" : OCI_TYPE "manifest.v1+json",
                   .digest = index ? *index : images[0].manifest,
                   .size = 7},
        .images = rows,
        .image_count = count,
        .repository = davit_reference_name(ref),
        .blobs = images[0].layers,
        .blob_count = images[0].layer_count,
    };
    assert_ok(dv_image_store_record(s, &record, &updated, &err));
}

/* Pulled as reference. */
UNUSED static test_image add_image(dv_store *s, const char *reference, const char *const *layers)
{
    test_image image = put_image(s, layers, NULL);
    record_images(s, reference, NULL, &image, 1);
    return image;
}

UNUSED static bool has(dv_store *s, const davit_digest *digest)
{
    return dv_content_has(s, digest, DAVIT_SIZE_UNKNOWN, NULL) == 1;
}

UNUSED static davit_store *outer(const fixture *f)
{
    return (davit_store *)f->store;
}

/* The steps of a removal, a line each, as the program prints them; a failed one by its code and message. free() it. */
UNUSED static char *steps_of(const davit_removal_list *list)
{
    static const char *const words[] = {"", "Untagged", "Deleted", "Failed"};
    char *text = calloc(1, 1 << 20), *end = text;
    for (size_t i = 0; text && i < davit_removal_list_count(list); i++) {
        const davit_removal *step = davit_removal_list_at(list, i);
        if (step->code)
            end += sprintf(end, "%s ", davit_code_name(step->code));
        end += sprintf(end, "%s: %s\n", words[step->kind], step->text);
    }
    return text;
}

#endif
