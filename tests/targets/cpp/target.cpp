// A program that knows the truth about its own calls. tests/targets/README.md has the protocol.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <initializer_list>
#include <iostream>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#define PROBED __attribute__((noinline, noclone))

// What one function knows about its calls; calls left in another way than by return were unwound.
struct Count {
    const char *name;
    std::atomic<long> calls{0}, returns{0};
    // Whether the running scenario asks for it; other functions are no part of paths.
    bool counted = false;
};

// A path of calls; a call directly inside of one of the same function is on the same path.
struct Node {
    Node(size_t id, const Node *parent, const Count *count)
        : id(id), parent(parent), count(count) {}
    size_t id;
    const Node *parent;
    const Count *count;
    std::atomic<long> calls{0};
    std::atomic<Node *> last_child{nullptr};
};

static std::mutex nodes_mutex;
static std::deque<Node> nodes;
// The path of the calls that the running thread is in.
static thread_local Node *here;

static Node *child(Node *parent, const Count &count) {
    Node *last = parent ? parent->last_child.load() : nullptr;
    if (last && last->count == &count) return last;
    std::lock_guard<std::mutex> lock(nodes_mutex);
    Node *found = nullptr;
    for (Node &node : nodes)
        if (node.parent == parent && node.count == &count) found = &node;
    if (!found) found = &nodes.emplace_back(nodes.size(), parent, &count);
    if (parent) parent->last_child = found;
    return found;
}

// Counts a call where it begins, and its return where the program says so. It has no destructor:
// frames that an exception passes need not have anything to clean up.
class Call {
  public:
    explicit Call(Count &count) : count(count), caller(here) {
        count.calls++;
        if (count.counted && !(here && here->count == &count)) here = child(here, count);
        own = here;
        if (count.counted) own->calls++;
    }
    template <typename T> T returns(T value) {
        count.returns++;
        here = caller;
        return value;
    }
    // The calls inside of it are over: one of them threw.
    void catches() { here = own; }

  private:
    Count &count;
    Node *caller, *own;
};

static uint64_t mix(uint64_t sum, uint64_t value) {
    return (sum ^ value) * 0x9e3779b97f4a7c15ul + 1;
}

namespace target {

// plain: a function that calls another.
Count plain_step_count{"target::plain_step"};
PROBED uint64_t plain_step(uint64_t x) {
    Call call(plain_step_count);
    uint64_t sum = x;
    for (int i = 0; i < 8; i++) sum = mix(sum, x + i);
    return call.returns(sum);
}

Count plain_outer_count{"target::plain_outer"};
PROBED uint64_t plain_outer(uint64_t x) {
    Call call(plain_outer_count);
    return call.returns(mix(plain_step(x), plain_step(x + 1)));
}

uint64_t run_plain(long n) {
    uint64_t sum = 0;
    for (long i = 0; i < n; i++) sum = mix(sum, plain_outer(i));
    return sum;
}

// recurse: to the depths at which tools are known to lose count.
Count descend_count{"target::descend"};
PROBED uint64_t descend(long depth) {
    Call call(descend_count);
    return call.returns(depth > 1 ? mix(descend(depth - 1), depth) : 1);
}

uint64_t run_recurse(long n) {
    uint64_t sum = 0;
    for (long depth = 1; depth <= 65; depth++) sum = mix(sum, descend(depth));
    sum = mix(sum, descend(1000));
    for (long i = 0; i < n; i++) sum = mix(sum, descend(10000));
    return sum;
}

// exceptions: thrown over one to five levels, and returns over the same levels.
Count throw_down_count{"target::throw_down"};
PROBED uint64_t throw_down(long level, bool fail) {
    Call call(throw_down_count);
    if (level == 1 && fail) throw std::runtime_error("as the test wants it");
    return call.returns(level == 1 ? 7 : mix(throw_down(level - 1, fail), level));
}

// Catches on the way, and throws on.
Count rethrow_count{"target::rethrow"};
PROBED uint64_t rethrow(long level, bool fail) {
    Call call(rethrow_count);
    try {
        return call.returns(throw_down(level, fail) + 1);
    } catch (const std::exception &error) {
        call.catches();
        plain_step(level);
        throw;
    }
}

Count throw_outer_count{"target::throw_outer"};
PROBED uint64_t throw_outer(long level, bool fail) {
    Call call(throw_outer_count);
    try {
        uint64_t sum = level % 2 ? throw_down(level, fail) : rethrow(level, fail);
        return call.returns(sum);
    } catch (const std::runtime_error &error) {
        return call.returns(std::string(error.what()).size());
    }
}

uint64_t run_exceptions(long n) {
    uint64_t sum = 0;
    for (long i = 0; i < n; i++) sum = mix(sum, throw_outer(1 + i % 5, i % 3 != 0));
    return sum;
}

// destructors: probed functions that run while a stack unwinds.
struct Guard {
    explicit Guard(uint64_t x) : x(x) {}
    PROBED ~Guard();
    uint64_t x;
};
std::atomic<uint64_t> guarded{0};

Count guard_count{"target::Guard::~Guard"};
Guard::~Guard() {
    Call call(guard_count);
    guarded += call.returns(plain_step(x));
}

Count guard_down_count{"target::guard_down"};
PROBED uint64_t guard_down(long level, bool fail) {
    Call call(guard_down_count);
    uint64_t sum = 3;
    {
        Guard guard(level);
        if (level == 1 && fail) throw std::runtime_error("as the test wants it");
        if (level > 1) sum = mix(guard_down(level - 1, fail), level);
    }
    return call.returns(sum);
}

Count guard_outer_count{"target::guard_outer"};
PROBED uint64_t guard_outer(long level, bool fail) {
    Call call(guard_outer_count);
    try {
        return call.returns(guard_down(level, fail));
    } catch (const std::runtime_error &) {
        return call.returns(17ul);
    }
}

uint64_t run_destructors(long n) {
    uint64_t sum = 0;
    guarded = 0;
    for (long i = 0; i < n; i++) sum = mix(sum, guard_outer(1 + i % 5, i % 2 == 0));
    return mix(sum, guarded);
}

// virtual: calls through a table, one of them in return position.
struct Shape {
    virtual ~Shape() = default;
    virtual uint64_t area(uint64_t x) const = 0;
};

Count square_count{"target::Square::area"};
struct Square : Shape {
    PROBED uint64_t area(uint64_t x) const override {
        Call call(square_count);
        return call.returns(x * x + 1);
    }
};

Count scaled_count{"target::Scaled::area"};
struct Scaled : Shape {
    explicit Scaled(const Shape &inner) : inner(inner) {}
    PROBED uint64_t area(uint64_t x) const override {
        Call call(scaled_count);
        return inner.area(call.returns(x * 3));
    }
    const Shape &inner;
};

uint64_t run_virtual(long n) {
    Square square;
    Scaled scaled(square);
    const Shape *volatile shapes[] = {&square, &scaled};
    uint64_t sum = 0;
    for (long i = 0; i < n; i++) sum = mix(sum, shapes[i % 2]->area(i));
    return sum;
}

// templates: two instances, each a function of its own, and a callable.
Count folded_int_count{"target::folded<int>"};
Count folded_double_count{"target::folded<double>"};
template <typename T> Count &folded_count();
template <> Count &folded_count<int>() { return folded_int_count; }
template <> Count &folded_count<double>() { return folded_double_count; }

template <typename T> PROBED uint64_t folded(T x) {
    Call call(folded_count<T>());
    return call.returns(mix(static_cast<uint64_t>(x), static_cast<uint64_t>(x / 2)));
}

uint64_t run_templates(long n) {
    uint64_t sum = 0;
    std::function<uint64_t(uint64_t)> step = plain_step;
    for (long i = 0; i < n; i++)
        sum = mix(sum, folded<int>(i) + folded<double>(i * 1.5) + step(i));
    return sum;
}

// threads: several at once in the same functions, exceptions among them.
uint64_t run_threads(long n) {
    std::vector<uint64_t> sums(6);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < sums.size(); i++)
        threads.emplace_back([&sums, i, n] { sums[i] = run_exceptions(n + i); });
    uint64_t sum = 0;
    for (size_t i = 0; i < sums.size(); i++) {
        threads[i].join();
        sum = mix(sum, sums[i]);
    }
    return sum;
}

struct Scenario {
    std::string name;
    uint64_t (*run)(long n);
    long default_n;
    std::vector<Count *> counts;
    // Whether a call in return position has a caller depends on the optimiser.
    bool has_tree = true;
};

const std::vector<Scenario> scenarios = {
    {"plain", run_plain, 2000, {&plain_outer_count, &plain_step_count}},
    {"recurse", run_recurse, 1, {&descend_count}},
    {"exceptions", run_exceptions, 600,
     {&throw_outer_count, &rethrow_count, &throw_down_count, &plain_step_count}},
    {"destructors", run_destructors, 500,
     {&guard_outer_count, &guard_down_count, &guard_count, &plain_step_count}},
    {"virtual", run_virtual, 1000, {&square_count, &scaled_count}, false},
    {"templates", run_templates, 800,
     {&folded_int_count, &folded_double_count, &plain_step_count}},
    {"threads", run_threads, 150,
     {&throw_outer_count, &rethrow_count, &throw_down_count, &plain_step_count}},
};

} // namespace target

static void print_tree() {
    const char *separator = "";
    std::printf(",\"tree\":[");
    for (const Node &node : nodes) {
        std::string parent = node.parent ? std::to_string(node.parent->id) : "null";
        std::printf("%s{\"parent\":%s,\"function\":\"%s\",\"calls\":%ld}", separator,
                    parent.c_str(), node.count->name, node.calls.load());
        separator = ",";
    }
    std::printf("]");
}

static void run(const target::Scenario &scenario, long n) {
    nodes.clear();
    for (Count *count : scenario.counts) {
        count->calls = count->returns = 0;
        count->counted = true;
    }
    uint64_t sum = scenario.run(n);
    std::printf("{\"scenario\":\"%s\",\"functions\":{", scenario.name.c_str());
    const char *separator = "";
    for (const Count *count : scenario.counts) {
        long calls = count->calls, returns = count->returns;
        std::printf("%s\"%s\":{\"calls\":%ld,\"returns\":%ld,\"unwound\":%ld}", separator,
                    count->name, calls, returns, calls - returns);
        separator = ",";
    }
    std::printf("}");
    for (Count *count : scenario.counts) count->counted = false;
    if (scenario.has_tree) print_tree();
    std::printf(",\"checksum\":\"%016lx\"}\n", sum);
}

static void obey(const std::string &line) {
    std::istringstream words(line);
    std::string verb, name;
    long n = -1;
    words >> verb >> name >> n;
    for (const auto &scenario : target::scenarios) {
        if (verb == "run" && scenario.name == name)
            return run(scenario, n < 0 || words.fail() ? scenario.default_n : n);
    }
    if (verb != "list") {
        std::puts("{\"error\":\"not understood\"}");
        return;
    }
    const char *separator = "[";
    for (const auto &scenario : target::scenarios) {
        std::printf("%s\"%s\"", separator, scenario.name.c_str());
        separator = ",";
    }
    std::puts("]");
}

int main() {
    std::puts("ready");
    std::fflush(stdout);
    std::string line;
    while (std::getline(std::cin, line) && line != "quit") {
        obey(line);
        std::fflush(stdout);
    }
}
