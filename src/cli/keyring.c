/*
 * cli/keyring.c - see keyring.h.
 *
 * The system calls are made directly: libkeyutils would be a dependency for five lines.
 *
 * Who may read a key: a key's owner bits (USR) count only for processes that do not "possess" it, and a key that add_key() makes
 * gives the owner nothing but a look at its description. Whether a process possesses the user keyring depends on how its session was started
 * (ssh, cron and sudo differ), so a key for all of the user's processes needs the owner bits set: KEY_PERMISSIONS.
 */
#include "cli/keyring.h"

#include "util/str.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PREFIX "davit:credential:"  /* of a key's description; the server stands behind it */
#define KEY_PERMISSIONS 0x3f3f0000u /* possessor and owner: all; group and others: nothing */
#define KEYS_MAX 65536
#define DESCRIPTION_MAX 4096 /* bytes, with the NUL, behind type, ids and permissions */

typedef int32_t serial;

static long keyctl(int operation, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    return syscall(SYS_keyctl, operation, a, b, c, d);
}

static int fail(davit_error **err, int errnum, const char *server)
{
    switch (errnum) {
    case ENOKEY:
    case EKEYEXPIRED:
    case EKEYREVOKED:
        return dv_error_set(err, DAVIT_ENOTFOUND, "no credentials for %s", server);
    case EDQUOT:
        return dv_error_set(
            err, DAVIT_ENOSPACE,
            "the kernel's quota for this user's keys is used up: log out of registries, or raise "
            "/proc/sys/kernel/keys/maxkeys and maxbytes");
    case ENOSYS:
    case EPERM:
        return dv_error_errno(
            err, DAVIT_EUNSUPPORTED, errnum,
            "the kernel's keyring cannot be used here; in a container, allow the system calls add_key "
            "and keyctl, or take another credsStore");
    default:
        return dv_error_errno(err, errnum == ENOMEM ? DAVIT_ENOMEM : DAVIT_EIO, errnum,
                              "the kernel's keyring");
    }
}

static int describe(const char *server, dv_buf *out, davit_error **err)
{
    if (strlen(server) > DV_KEYRING_SERVER_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "a server name of more than %d bytes", DV_KEYRING_SERVER_MAX);
    dv_buf_printf(out, PREFIX "%s", server);
    return out->failed ? dv_error_oom(err) : 0;
}

int dv_keyring_put(const char *server, const char *username, const char *secret, davit_error **err)
{
    DV_AUTO(dv_buf) description = DV_BUF_INIT(DESCRIPTION_MAX);
    DV_AUTO(dv_buf) payload = {.max = DV_KEYRING_PAYLOAD_MAX, .secret = true};
    int r = describe(server, &description, err);
    if (r < 0)
        return r;
    dv_buf_append(&payload, username, strlen(username) + 1);
    dv_buf_puts(&payload, secret);
    if (payload.failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_ETOOBIG,
                            "user name and secret have %zu bytes together; the kernel's keyring takes %d",
                            strlen(username) + strlen(secret), DV_KEYRING_PAYLOAD_MAX - 1);
    if (payload.failed)
        return dv_error_oom(err);
    long key = syscall(SYS_add_key, "user", dv_buf_text(&description), payload.data, payload.size,
                       KEY_SPEC_USER_KEYRING);
    if (key < 0)
        return fail(err, errno, server);
    if (keyctl(KEYCTL_SETPERM, (unsigned long)key, KEY_PERMISSIONS, 0, 0) < 0)
        return fail(err, errno, server);
    return 0;
}

/* "username NUL secret". False when it is not of that form. */
static bool read_payload(serial key, dv_buf *out_username, dv_buf *out_secret)
{
    char payload[DV_KEYRING_PAYLOAD_MAX + 1];
    long size = keyctl(KEYCTL_READ, (unsigned long)key, (unsigned long)payload, sizeof(payload), 0);
    const char *end = size > 0 && size <= DV_KEYRING_PAYLOAD_MAX ? memchr(payload, '\0', (size_t)size) : NULL;
    if (end) {
        dv_buf_append(out_username, payload, (size_t)(end - payload));
        dv_buf_append(out_secret, end + 1, (size_t)(payload + size - end - 1));
    }
    explicit_bzero(payload, sizeof(payload));
    return end != NULL;
}

static int find(const char *server, serial *out, davit_error **err)
{
    DV_AUTO(dv_buf) description = DV_BUF_INIT(DESCRIPTION_MAX);
    int r = describe(server, &description, err);
    if (r < 0)
        return r;
    long key = keyctl(KEYCTL_SEARCH, (unsigned long)KEY_SPEC_USER_KEYRING, (unsigned long)"user",
                      (unsigned long)dv_buf_text(&description), 0);
    if (key < 0)
        return fail(err, errno, server);
    *out = (serial)key;
    return 0;
}

int dv_keyring_get(const char *server, dv_buf *out_username, dv_buf *out_secret, davit_error **err)
{
    serial key;
    int r = find(server, &key, err);
    if (r < 0)
        return r;
    errno = 0;
    if (!read_payload(key, out_username, out_secret))
        return errno ? fail(err, errno, server)
                     : dv_error_set(err, DAVIT_EIO, "the key for %s was not made by davit", server);
    return out_username->failed || out_secret->failed ? dv_error_oom(err) : 0;
}

int dv_keyring_delete(const char *server, davit_error **err)
{
    serial key;
    int r = find(server, &key, err);
    if (r < 0)
        return r;
    return keyctl(KEYCTL_UNLINK, (unsigned long)key, (unsigned long)KEY_SPEC_USER_KEYRING, 0, 0) < 0
               ? fail(err, errno, server)
               : 0;
}

/* The serials of the keys in the user keyring. */
static int read_keyring(serial **out, size_t *out_count, davit_error **err)
{
    DV_AUTOFREE serial *keys = dv_new_array(serial, KEYS_MAX);
    if (!keys)
        return dv_error_oom(err);
    long size = keyctl(KEYCTL_READ, (unsigned long)KEY_SPEC_USER_KEYRING, (unsigned long)keys,
                       KEYS_MAX * sizeof(*keys), 0);
    if (size < 0)
        return fail(err, errno, "any server");
    if ((size_t)size > KEYS_MAX * sizeof(*keys))
        return dv_error_set(err, DAVIT_ETOOBIG, "more than %d keys in the user's keyring", KEYS_MAX);
    *out = DV_STEAL(keys);
    *out_count = (size_t)size / sizeof(serial);
    return 0;
}

/* The server of a key of ours, from "type;uid;gid;permissions;description"; NULL for other keys and those gone. Borrows text. */
static const char *server_of(serial key, char *text, size_t text_size)
{
    long size = keyctl(KEYCTL_DESCRIBE, (unsigned long)key, (unsigned long)text, text_size, 0);
    if (size <= 0 || (size_t)size > text_size)
        return NULL;
    const char *at = text;
    for (int i = 0; i < 4 && at; i++) {
        at = strchr(at, ';');
        at = at ? at + 1 : NULL;
    }
    return at && dv_str_starts(text, "user;") && dv_str_starts(at, PREFIX) ? at + strlen(PREFIX) : NULL;
}

int dv_keyring_each(int (*each)(void *user, const char *server, const char *username), void *user,
                    davit_error **err)
{
    DV_AUTOFREE serial *keys = NULL;
    size_t count;
    int r = read_keyring(&keys, &count, err);
    for (size_t i = 0; r >= 0 && i < count; i++) {
        DV_AUTO(dv_buf) username = {.max = DV_KEYRING_PAYLOAD_MAX, .secret = true};
        DV_AUTO(dv_buf) secret = {.max = DV_KEYRING_PAYLOAD_MAX, .secret = true};
        char text[DESCRIPTION_MAX + 64];
        const char *server = server_of(keys[i], text, sizeof(text));
        if (!server || !read_payload(keys[i], &username, &secret))
            continue;
        if (username.failed || secret.failed)
            return dv_error_oom(err);
        r = each(user, server, dv_buf_text(&username));
        if (r < 0)
            return dv_error_oom(err);
    }
    return r < 0 ? r : 0;
}
