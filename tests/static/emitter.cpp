// What satisfies WindowEmitter, and what must not.

#include <microbatch/microbatch.hpp>

#include <memory>
#include <string>

namespace {

using namespace microbatch;

struct Pairs {
  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint) {
    return {.ready = pending.size() >= 2, .limit = 2, .at_items = 2};
  }
};
struct OfInts {
  Readiness window_ready(Pending<int>&, TimePoint) { return {}; }
};
struct MoveOnly {
  std::unique_ptr<int> state;
  Readiness window_ready(Pending<int>&, TimePoint) { return {}; }
};
struct AnswersBool {
  bool window_ready(Pending<int>&, TimePoint) { return true; }
};
struct TakesNoTime {
  Readiness window_ready(Pending<int>&) { return {}; }
};
struct ByValue {
  Readiness window_ready(int, TimePoint) { return {}; }
};
struct Private {
 private:
  Readiness window_ready(Pending<int>&, TimePoint) { return {}; }
};
struct Immovable {
  Immovable(Immovable&&) = delete;
  Readiness window_ready(Pending<int>&, TimePoint) { return {}; }
};

static_assert(WindowEmitter<Pairs, int>);
static_assert(WindowEmitter<Pairs, std::unique_ptr<int>>);
static_assert(WindowEmitter<OfInts, int>);
static_assert(WindowEmitter<MoveOnly, int>);
static_assert(WindowEmitter<CountWindow, std::string>);
static_assert(WindowEmitter<FixedTimeWindow, std::string>);
static_assert(WindowEmitter<RelaxedTimeWindow, std::string>);
static_assert(WindowEmitter<PeriodWindow, std::string>);
static_assert(WindowEmitter<MaxAgeWindow, std::string>);
static_assert(
    WindowEmitter<decltype(any_of(CountWindow{1}, MaxAgeWindow{std::chrono::seconds(1)})), int>);
static_assert(
    WindowEmitter<decltype(all_of(CountWindow{1}, MaxAgeWindow{std::chrono::seconds(1)})), int>);

static_assert(!WindowEmitter<OfInts, std::string>, "for another item type");
static_assert(!WindowEmitter<AnswersBool, int>);
static_assert(!WindowEmitter<TakesNoTime, int>);
static_assert(!WindowEmitter<ByValue, int>);
static_assert(!WindowEmitter<Private, int>);
static_assert(!WindowEmitter<Immovable, int>);
static_assert(!WindowEmitter<int, int>);

}  // namespace
