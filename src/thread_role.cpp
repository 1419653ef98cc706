#include <microbatch/core/thread_role.hpp>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

namespace microbatch::inline v0_1::detail {

ThreadRole& this_thread_role() noexcept {
  constinit thread_local ThreadRole role;
  return role;
}

namespace {

struct Edges {
  std::mutex mutex;
  std::vector<std::pair<const void*, const void*>> list;  // waits, waited for; short at any time

  [[nodiscard]] bool reaches(const void* from, const void* to) const {
    std::vector<const void*> seen{from};
    for (std::size_t i = 0; i < seen.size(); ++i) {
      if (seen[i] == to) return true;
      for (const auto& [waits, waited_for] : list)
        if (waits == seen[i] && std::find(seen.begin(), seen.end(), waited_for) == seen.end())
          seen.push_back(waited_for);
    }
    return false;
  }
};

Edges& edges() {
  static Edges& all = *new Edges;  // never destroyed: streams may outlive main
  return all;
}

}  // namespace

bool WaitGraph::add(const CallbackFrame* waiting, const void* stream) {
  Edges& all = edges();
  std::lock_guard lock(all.mutex);
  for (const auto* f = waiting; f != nullptr; f = f->outer)
    if (all.reaches(stream, f->stream)) return false;
  for (const auto* f = waiting; f != nullptr; f = f->outer)
    all.list.emplace_back(f->stream, stream);
  return true;
}

void WaitGraph::remove(const CallbackFrame* waiting, const void* stream) noexcept {
  Edges& all = edges();
  std::lock_guard lock(all.mutex);
  for (const auto* f = waiting; f != nullptr; f = f->outer) {
    const auto edge = std::find(all.list.begin(), all.list.end(), std::pair{f->stream, stream});
    if (edge != all.list.end()) all.list.erase(edge);
  }
}

}  // namespace microbatch::inline v0_1::detail
