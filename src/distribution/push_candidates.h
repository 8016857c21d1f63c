/*
 * distribution/push_candidates.h - before the bytes of a layer are sent: where may the registry have it already? Which digests to ask for
 * and which repositories to mount from, by what the store remembers. Pure decisions. Spec: push.md 4, 6, 7.
 */
#ifndef DV_DISTRIBUTION_PUSH_CANDIDATES_H
#define DV_DISTRIBUTION_PUSH_CANDIDATES_H

#include "store/metadata_entry.h"

typedef struct dv_push_limits {
    unsigned mounts, checks; /* requests at most */
    bool others;             /* digests known from other repositories are asked for too */
} dv_push_limits;

/* By the bytes of the layer. DAVIT_SIZE_UNKNOWN counts as none. */
dv_push_limits dv_push_limits_of(uint64_t size);

/* The whole name of where it goes, and the key of the credentials that go with it (auth/hmac_key.h). */
typedef struct dv_push_target {
    const char *repository;
    const char *key;
} dv_push_target;

/*
 * Entries to ask the target for, best first: one for each digest, none that was asked for already, at most limit. A digest that is
 * known without a repository is asked for like the target's own.
 */
int dv_push_checks(const dv_metadata_entries *known, const dv_push_target *target, unsigned limit,
                   bool others, const davit_digest *asked, size_t asked_count, dv_metadata_entries *out,
                   davit_error **err);
/* Entries to mount from, best first: canonical names on the target's domain, but not the target. */
int dv_push_mounts(const dv_metadata_entries *known, const dv_push_target *target, unsigned limit,
                   dv_metadata_entries *out, davit_error **err);

/*
 * Found in the target by asking for this entry's digest: need the store be told? Not when that is what it says already, with
 * these credentials.
 */
bool dv_push_is_news(const dv_metadata_entry *entry, const dv_push_target *target);
/*
 * Whether an entry is forgotten after mounting from it failed. Who is not logged in loses none because mounting needs rights, and what
 * others' credentials saw is theirs to forget.
 */
bool dv_push_forgets(const dv_metadata_entry *entry, const dv_push_target *target, bool unauthorized,
                     bool has_auth_info);

#endif
