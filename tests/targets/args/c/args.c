// Functions that are called with known values. tests/targets/README.md has the protocol.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBED __attribute__((noinline, noclone, noipa))

// The last calls of a function: its arguments and its result, as text, the oldest first.
enum { CALLS_KEPT = 5, TEXT_BYTES = 512 };

struct calls {
    const char *name;
    long count;
    char last[CALLS_KEPT][TEXT_BYTES];
};

#define VALUE(name, format) "{\"name\":\"" name "\",\"value\":\"" format "\"}"
#define TEXT(name) VALUE(name, "\\\"%s\\\"")
#define ARGS(values) "{\"args\":[" values "]"
#define RESULT(value) "\"results\":[" value "]}"

__attribute__((format(printf, 2, 3))) static void note(struct calls *calls, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(calls->last[calls->count++ % CALLS_KEPT], TEXT_BYTES, format, values);
    va_end(values);
}

static struct calls order_calls = {.name = "order"};
PROBED long order(long id, const char *user, int amount) {
    long result = id * 1000 + amount + (long)strlen(user);
    note(&order_calls, ARGS(VALUE("id", "%ld") "," TEXT("user") "," VALUE("amount", "%d")) "," RESULT(VALUE("", "%ld")),
         id, user, amount, result);
    return result;
}

static struct calls narrow_calls = {.name = "narrow"};
PROBED unsigned char narrow(unsigned char a, short b, unsigned c) {
    unsigned char result = (unsigned char)(a + b + c);
    note(&narrow_calls, ARGS(VALUE("a", "%u") "," VALUE("b", "%d") "," VALUE("c", "%u")) "," RESULT(VALUE("", "%u")),
         a, b, c, result);
    return result;
}

static struct calls find_calls = {.name = "find"};
PROBED const char *find(const char *text, char wanted) {
    const char *result = strchr(text, wanted);
    if (!result) result = "none";
    note(&find_calls, ARGS(TEXT("text") "," VALUE("wanted", "'%c'")) "," RESULT(TEXT("")), text, wanted,
         result);
    return result;
}

static void run(long n) {
    static const char *const users[] = {"u_1", "u_2", "", "a name with spaces"};
    for (long i = 0; i < n; i++) {
        const char *user = users[i % 4];
        order(i - 2, user, (int)(i % 7) * 50 - 100);
        narrow((unsigned char)(250 + i), (short)(-i), (unsigned)i * 1000000u);
        find(user, i % 2 ? 'u' : 'a');
    }
}

static void print_calls(const struct calls *calls) {
    long first = calls->count > CALLS_KEPT ? calls->count - CALLS_KEPT : 0;
    printf("\"%s\":{\"calls\":%ld,\"last\":[", calls->name, calls->count);
    for (long i = first; i < calls->count; i++)
        printf("%s%s", i > first ? "," : "", calls->last[i % CALLS_KEPT]);
    printf("]}");
}

int main(void) {
    struct calls *all[] = {&order_calls, &narrow_calls, &find_calls, NULL};
    char line[256];
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n") != 0) {
        long n = 20;
        sscanf(line, "run args %ld", &n);
        for (int i = 0; all[i]; i++) all[i]->count = 0;
        run(n);
        printf("{");
        for (int i = 0; all[i]; i++) {
            if (i) printf(",");
            print_calls(all[i]);
        }
        printf("}\n");
        fflush(stdout);
    }
    return 0;
}
