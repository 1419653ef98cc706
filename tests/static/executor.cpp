// What satisfies Executor and EngineHost, and what must not.

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_executor.hpp>

namespace {

using namespace microbatch;

struct OnTheSpot {
  void execute(Task task) { task(); }
};
struct TakesFunction {
  void execute(void (*)()) {}
};
struct TakesReference {
  void execute(Task&) {}
};
struct Nothing {};
struct HalfHost {
  void execute(Task) {}
  void attach(std::shared_ptr<Steppable>) {}
};

static_assert(Executor<OnTheSpot>);
static_assert(Executor<InlineExecutor>);
static_assert(Executor<ThreadPool>);
static_assert(Executor<testing::ManualExecutor>);
static_assert(!Executor<TakesFunction>, "a task is no function pointer");
static_assert(!Executor<TakesReference>, "a task is handed over");
static_assert(!Executor<Nothing>);
static_assert(!Executor<int>);

static_assert(EngineHost<ThreadPool>);
static_assert(EngineHost<testing::ManualExecutor>);
static_assert(!EngineHost<OnTheSpot>);
static_assert(!EngineHost<InlineExecutor>);
static_assert(!EngineHost<HalfHost>, "attach() answers with an Attachment");

}  // namespace
