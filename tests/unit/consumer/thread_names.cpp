#include <pthread.h>

#include <mutex>
#include <set>
#include <string>

#include "support/rig.hpp"

using namespace microbatch;

namespace {

std::string name_of_this_thread() {
  char name[16];
  return pthread_getname_np(pthread_self(), name, sizeof name) == 0 ? name : "";
}

}  // namespace

TEST_CASE("a pool's threads bear its name and their number, within 15 bytes", "[executor]") {
  std::mutex mutex;
  std::set<std::string> names;
  const auto note = [&](std::size_t) {
    std::lock_guard lock(mutex);
    names.insert(name_of_this_thread());
  };
  { const ThreadPool pool({.workers = 2, .on_thread_start = note}); }
  CHECK(names == std::set<std::string>{"microbatch-0", "microbatch-1"});
  names.clear();
  { const ThreadPool pool({.workers = 11, .on_thread_start = note, .name = "a rather long name"}); }
  CHECK(names.contains("a rather long-0"));
  CHECK(names.contains("a rather lon-10"));
}

TEST_CASE("a consumer's own thread bears its stream's name", "[executor]") {
  std::string name;
  Stream<int> stream({.name = "orders"});
  auto consumer =
      streaming(stream, CountWindow{1}, [&](Window<int>&) { name = name_of_this_thread(); });
  stream.append(1);
  consumer.close();
  CHECK(name == "orders-0");
}
