// What can be an item of a stream, and what cannot.

#include <microbatch/core/item.hpp>

#include <memory>
#include <string>

namespace {

struct Immovable {
  Immovable(Immovable&&) = delete;
};
struct ThrowingMove {
  ThrowingMove(ThrowingMove&&) noexcept(false) {}
};
struct ThrowingDestructor {
  ~ThrowingDestructor() noexcept(false) {}
};
struct PrivateDestructor {
 private:
  ~PrivateDestructor() = default;
};
struct alignas(4096) Page {
  std::byte bytes[4096];
};
struct Empty {};

using microbatch::StreamItem;

static_assert(StreamItem<int>);
static_assert(StreamItem<std::string>);
static_assert(StreamItem<std::unique_ptr<int>>, "move-only");
static_assert(StreamItem<ThrowingMove>);
static_assert(StreamItem<Page>, "over-aligned");
static_assert(StreamItem<Empty>);
static_assert(StreamItem<int*>);

static_assert(!StreamItem<void>);
static_assert(!StreamItem<int&>);
static_assert(!StreamItem<int&&>);
static_assert(!StreamItem<const int>);
static_assert(!StreamItem<volatile int>);
static_assert(!StreamItem<int[4]>);
static_assert(!StreamItem<int()>);
static_assert(!StreamItem<Immovable>);
static_assert(!StreamItem<ThrowingDestructor>);
static_assert(!StreamItem<PrivateDestructor>);

}  // namespace
