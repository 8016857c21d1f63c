/*
 * oci/platform_host.c - see platform.h: the platform of this machine. Which architecture the program
 * runs as is known when it is built; only the variant is asked of the processor or the kernel. Spec:
 * pull.md 5.2, 5.3.
 */
#include "oci/platform.h"

#include "util/file.h"
#include "util/str.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#if defined(__x86_64__)
#include <cpuid.h>
#define HOST_ARCHITECTURE "amd64"
#elif defined(__i386__)
#define HOST_ARCHITECTURE "386"
#elif defined(__aarch64__)
#define HOST_ARCHITECTURE "arm64"
#elif defined(__arm__)
#define HOST_ARCHITECTURE "arm"
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define HOST_ARCHITECTURE "ppc64le"
#elif defined(__powerpc64__)
#define HOST_ARCHITECTURE "ppc64"
#elif defined(__s390x__)
#define HOST_ARCHITECTURE "s390x"
#elif defined(__riscv) && __riscv_xlen == 64
#define HOST_ARCHITECTURE "riscv64"
#elif defined(__loongarch64)
#define HOST_ARCHITECTURE "loong64"
#elif defined(__mips64) && defined(__MIPSEL__)
#define HOST_ARCHITECTURE "mips64le"
#elif defined(__mips64)
#define HOST_ARCHITECTURE "mips64"
#else
#error "name this processor as Go does"
#endif

#define CPUINFO_MAX (1u << 20) /* bytes */

/* --- amd64 ----------------------------------------------------------------------------------------- */

#define BIT(n) (UINT32_C(1) << (n))

static bool has_all(uint32_t reg, uint32_t bits)
{
    return (reg & bits) == bits;
}

int dv_platform_amd64_level(const dv_cpuid *cpu)
{
    /*
     * leaf 1 ECX: SSE3 0, SSSE3 9, FMA 12, CX16 13, SSE4.1 19, SSE4.2 20, MOVBE 22, POPCNT 23, XSAVE 26,
     * OSXSAVE 27, AVX 28, F16C 29; leaf 7 EBX: BMI1 3, AVX2 5, BMI2 8, AVX512 F 16, DQ 17, CD 28, BW 30,
     * VL 31; leaf 0x80000001 ECX: LAHF 0, LZCNT 5; XCR0: XMM 1, YMM 2, opmask 5, ZMM 6 and 7.
     */
    static const uint32_t v2_leaf1 = BIT(0) | BIT(9) | BIT(13) | BIT(19) | BIT(20) | BIT(23);
    static const uint32_t v3_leaf1 = BIT(12) | BIT(22) | BIT(26) | BIT(27) | BIT(28) | BIT(29);
    static const uint32_t v3_leaf7 = BIT(3) | BIT(5) | BIT(8);
    static const uint32_t v4_leaf7 = BIT(16) | BIT(17) | BIT(28) | BIT(30) | BIT(31);
    static const uint32_t v3_xcr0 = BIT(1) | BIT(2), v4_xcr0 = BIT(5) | BIT(6) | BIT(7);
    uint32_t xcr0 = (uint32_t)cpu->xcr0;
    if (cpu->max_leaf < 7 || !has_all(cpu->leaf1_ecx, v2_leaf1) || !has_all(cpu->extended1_ecx, BIT(0)))
        return 1;
    if (!has_all(cpu->leaf1_ecx, v3_leaf1) || !has_all(cpu->leaf7_ebx, v3_leaf7) ||
        !has_all(cpu->extended1_ecx, BIT(5)) || !has_all(xcr0, v3_xcr0))
        return 2;
    return has_all(cpu->leaf7_ebx, v4_leaf7) && has_all(xcr0, v4_xcr0) ? 4 : 3;
}

#ifdef __x86_64__
static void read_cpuid(dv_cpuid *cpu)
{
    uint32_t a, b, c, d;
    *cpu = (dv_cpuid){.max_leaf = __get_cpuid_max(0, NULL)};
    if (__get_cpuid(1, &a, &b, &c, &d))
        cpu->leaf1_ecx = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
        cpu->leaf7_ebx = b;
    if (__get_cpuid(0x80000001, &a, &b, &c, &d))
        cpu->extended1_ecx = c;
    if (cpu->leaf1_ecx & BIT(27)) { /* OSXSAVE: xgetbv may be used */
        uint32_t low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        cpu->xcr0 = (uint64_t)high << 32 | low;
    }
}

static void host_variant(char variant[DAVIT_PLATFORM_PART_MAX])
{
    dv_cpuid cpu;
    read_cpuid(&cpu);
    int level = dv_platform_amd64_level(&cpu);
    if (level > 1)
        snprintf(variant, DAVIT_PLATFORM_PART_MAX, "v%d", level);
}
#elif defined(__arm__) || defined(__aarch64__)
static void host_variant(char variant[DAVIT_PLATFORM_PART_MAX])
{
    DV_AUTO(dv_buf) cpuinfo = DV_BUF_INIT(CPUINFO_MAX);
    struct utsname name;
    if (dv_file_read(AT_FDCWD, "/proc/cpuinfo", CPUINFO_MAX, &cpuinfo, NULL) < 0)
        dv_buf_reset(&cpuinfo);
    uname(&name);
    snprintf(variant, DAVIT_PLATFORM_PART_MAX, "%s",
             dv_platform_arm_variant(dv_buf_text(&cpuinfo), name.machine));
}
#else
static void host_variant(char variant[DAVIT_PLATFORM_PART_MAX])
{
    variant[0] = '\0';
}
#endif

/* --- arm ------------------------------------------------------------------------------------------- */

/* The value of the first line "key : value"; false if there is none. */
static bool cpuinfo_value(const char *text, const char *key, char *out, size_t out_size)
{
    size_t key_size = strlen(key);
    while (*text) {
        size_t line = strcspn(text, "\n");
        size_t colon = strcspn(text, ":\n");
        size_t name = colon;
        while (name > 0 && strchr(" \t", text[name - 1]))
            name--;
        if (colon < line && name == key_size && dv_str_starts_nocase(text, key)) {
            const char *value = text + colon + 1;
            size_t skipped = strspn(value, " \t");
            snprintf(out, out_size, "%.*s", (int)(line - colon - 1 - skipped), value + skipped);
            return true;
        }
        text += line + (text[line] == '\n');
    }
    return false;
}

const char *dv_platform_arm_variant(const char *cpuinfo, const char *machine)
{
    static const struct {
        const char *name, *variant;
    } names[] = {
        {"8", "v8"},     {"aarch64", "v8"}, {"7", "v7"},     {"7m", "v7"},
        {"?(12)", "v7"}, {"?(13)", "v7"},   {"?(14)", "v7"}, {"?(15)", "v7"},
        {"?(16)", "v7"}, {"?(17)", "v7"},   {"6", "v6"},     {"6tej", "v6"},
        {"5", "v5"},     {"5t", "v5"},      {"5te", "v5"},   {"5tej", "v5"},
    };
    static const struct {
        const char *prefix, *variant;
    } machines[] = {{"aarch64", "v8"}, {"armv8", "v8"}, {"armv7", "v7"}, {"armv6", "v6"}, {"armv5", "v5"}};
    char value[64], model[64];
    if (cpuinfo_value(cpuinfo, "cpu architecture", value, sizeof(value))) {
        /* The first Raspberry Pi says architecture 7 of its ARMv6 processor. */
        bool is_pi = strcmp(value, "7") == 0 && cpuinfo_value(cpuinfo, "model name", model, sizeof(model)) &&
                     dv_str_starts_nocase(model, "armv6-compatible");
        for (size_t i = 0; i < DV_COUNT(names); i++)
            if (dv_str_equal_nocase(names[i].name, value))
                return is_pi ? "v6" : names[i].variant;
    }
    for (size_t i = 0; i < DV_COUNT(machines); i++)
        if (dv_str_starts_nocase(machine, machines[i].prefix))
            return machines[i].variant;
    return "";
}

void davit_platform_host(davit_platform *out)
{
    davit_platform p = {.os = "linux", .architecture = HOST_ARCHITECTURE};
    host_variant(p.variant);
    dv_platform_normalize_for(&p, &p);
    *out = p;
}
