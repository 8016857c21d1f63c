/*
 * davit/reference.h - image names: domain/path[:tag][@digest].
 *
 * Exact rules: spec reference.md. A reference keeps its text as it was given; nothing is folded or resolved.
 *
 * For every function here: threads: any, nothing blocks and nothing is shared but the immutable value; texts are NUL-terminated
 * and borrowed; what makes a reference sets its `out` only on success, the caller frees it with davit_reference_free(), and it
 * fails with DAVIT_EINVAL (the specification's text) or DAVIT_ENOMEM. Limits: path 255 bytes, tag 128.
 */
#ifndef DAVIT_REFERENCE_H
#define DAVIT_REFERENCE_H

#include <davit/digest.h>

DAVIT_BEGIN_DECLS

/** An immutable parsed reference. */
typedef struct davit_reference davit_reference;

/**
 * Parse what a user typed: default domain, "library/" and all (ParseNormalizedNamed).
 *
 * @param out  set on success; free with davit_reference_free()
 *
 * Errors:  DAVIT_EINVAL with the specification's text
 * Threads: any
 * Spec:    reference.md 4
 */
DAVIT_API int davit_reference_parse(const char *text, davit_reference **out, davit_error **err);

/** By grammar alone, no default domain (Parse). As davit_reference_parse(). Spec: reference.md 3. */
DAVIT_API int davit_reference_parse_exact(const char *text, davit_reference **out, davit_error **err);

/** Only what is in normal form already (ParseNamed). As davit_reference_parse(). Spec: reference.md 5. */
DAVIT_API int davit_reference_parse_named(const char *text, davit_reference **out, davit_error **err);

/** Also identifiers and bare digests, which give a reference without a name (ParseAnyReference). Spec: reference.md 5. */
DAVIT_API int davit_reference_parse_any(const char *text, davit_reference **out, davit_error **err);

/** Tag and digest: the tag is dropped; neither: "latest" is added (ParseDockerRef). Spec: reference.md 5. */
DAVIT_API int davit_reference_parse_docker(const char *text, davit_reference **out, davit_error **err);

/** A name by grammar, no tag, no digest, no normalisation (WithName). Spec: reference.md 5. */
DAVIT_API int davit_reference_with_name(const char *name, davit_reference **out, davit_error **err);

/** A copy of @p ref with this tag, keeping a digest (WithTag). Spec: reference.md 6. */
DAVIT_API int davit_reference_with_tag(const davit_reference *ref, const char *tag, davit_reference **out,
                                       davit_error **err);

/**
 * A copy of @p ref with this digest text, keeping a tag (WithDigest). Only the reference grammar of digests is checked, so
 * davit_reference_digest() of the result may fail. Spec: reference.md 6.
 */
DAVIT_API int davit_reference_with_digest(const davit_reference *ref, const char *digest,
                                          davit_reference **out, davit_error **err);

/** A copy without tag and digest (TrimNamed). Spec: reference.md 6. */
DAVIT_API int davit_reference_trim(const davit_reference *ref, davit_reference **out, davit_error **err);

/** A copy that has the tag "latest" if it had neither tag nor digest (TagNameOnly). Spec: reference.md 6. */
DAVIT_API int davit_reference_tag_name_only(const davit_reference *ref, davit_reference **out,
                                            davit_error **err);

/** A second handle to the same value. */
DAVIT_API davit_reference *davit_reference_ref(davit_reference *ref);

/** Release; NULL is fine. */
DAVIT_API void davit_reference_free(davit_reference *ref);

/** Domain with port, "" if there is none. Borrowed from @p ref. */
DAVIT_API const char *davit_reference_domain(const davit_reference *ref);
/** Path within the domain, "" for a digest-only reference. Borrowed. */
DAVIT_API const char *davit_reference_path(const davit_reference *ref);
/** domain/path. Borrowed. */
DAVIT_API const char *davit_reference_name(const davit_reference *ref);
/** Tag, or NULL. Borrowed. */
DAVIT_API const char *davit_reference_tag(const davit_reference *ref);
/** Digest text, or NULL. Borrowed. */
DAVIT_API const char *davit_reference_digest_text(const davit_reference *ref);
/** The checked digest. Errors: DAVIT_ENOTFOUND without one, DAVIT_EINVAL for one that with_digest() let through. */
DAVIT_API int davit_reference_digest(const davit_reference *ref, davit_digest *out, davit_error **err);
/** The whole text in full form. Borrowed. */
DAVIT_API const char *davit_reference_text(const davit_reference *ref);
/** Neither tag nor digest. */
DAVIT_API bool davit_reference_is_name_only(const davit_reference *ref);

/** Name as Docker shows it ("redis"). Borrowed from @p ref. Spec: reference.md 7. */
DAVIT_API const char *davit_reference_familiar_name(const davit_reference *ref);
/** Text as Docker shows it ("redis:7"). Borrowed from @p ref. Spec: reference.md 7. */
DAVIT_API const char *davit_reference_familiar(const davit_reference *ref);

/** Whether @p text is an identifier: exactly 64 lower-case hexadecimal digits. */
DAVIT_API bool davit_reference_is_identifier(const char *text);

/**
 * Whether a glob pattern matches the familiar text or the familiar name.
 *
 * @param out  set on success
 * Errors:  DAVIT_EINVAL "syntax error in pattern"
 * Spec:    reference.md 9
 */
DAVIT_API int davit_reference_familiar_match(const davit_reference *ref, const char *pattern, bool *out,
                                             davit_error **err);

/**
 * Sort texts by the specification's rank and normalise them.
 *
 * @param texts      borrowed
 * @param out        set on success to @p count texts; free with davit_reference_sort_free()
 * Spec:    reference.md 9
 */
DAVIT_API int davit_reference_sort(const char *const *texts, size_t count, char ***out, davit_error **err);
/** Release what davit_reference_sort() gave. */
DAVIT_API void davit_reference_sort_free(char **texts, size_t count);

DAVIT_END_DECLS

#endif
