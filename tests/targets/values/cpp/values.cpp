// Functions whose arguments and results are read.
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

namespace shop {

struct Money { std::int64_t cents; };
struct Base { long id; };
struct Derived : Base { long extra; };

class Cart {
public:
    [[gnu::noinline]] long add(const char *name, int count) {
        std::printf("%s\n", name);
        return items += count;
    }
    [[gnu::noinline]] virtual bool empty(bool deep) const { return deep && items == 0; }
    [[gnu::noinline]] static unsigned limit(unsigned short n) {
        std::printf("%d\n", n);
        return n;
    }
    long items = 0;
};

[[gnu::noinline]] Money price(Money each, const Cart &cart, Derived derived) {
    std::printf("%ld\n", cart.items);
    return Money{each.cents * cart.items + derived.id};
}

[[gnu::noinline]] std::string title(const std::string &name, std::string copy) {
    return name + copy;
}

[[gnu::noinline]] void owned(std::unique_ptr<Cart> cart, int n) {
    std::printf("%ld%d\n", cart->items, n);
}

enum class Level : std::uint8_t { Low, High };

[[gnu::noinline]] int level(Level of, char letter, wchar_t wide) {
    std::printf("%c%d\n", letter, static_cast<int>(wide));
    return static_cast<int>(of);
}

} // namespace shop

int main(int argc, char **argv) {
    shop::Cart cart;
    cart.add(argv[0], argc);
    const shop::Cart *base = &cart;
    bool empty = base->empty(argc > 1);
    shop::Cart::limit(static_cast<unsigned short>(argc));
    shop::price(shop::Money{argc}, cart, shop::Derived{{argc}, 2});
    shop::title(argv[0], argv[0]);
    shop::owned(std::make_unique<shop::Cart>(), argc);
    return empty + shop::level(shop::Level::High, 'x', L'y') == 12345;
}
