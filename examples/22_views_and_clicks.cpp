// Which views of an advertisement led to a click within five seconds? A join of two streams on the
// user, left: a view without a click is told as well. Both streams are made by a seeded generator.

#include <fmt/format.h>

#include <microbatch/microbatch.hpp>
#include <random>
#include <vector>

namespace {

struct View {
  std::chrono::milliseconds time;
  int user;
};
struct Click {
  std::chrono::milliseconds time;
  int user;
};

}  // namespace

int main() {
  using namespace microbatch;
  using namespace std::chrono_literals;
  std::mt19937 random(7);
  std::vector<View> views;
  std::vector<Click> clicks;
  std::size_t expected = 0;
  for (int i = 0; i < 2000; ++i) {
    // A user looks once at most in a while, so that every click has one view.
    const View view{100ms * i, i % 500};
    views.push_back(view);
    if (random() % 4 != 0) continue;
    const auto after = std::chrono::milliseconds(random() % 8000);
    clicks.push_back({view.time + after, view.user});
    expected += after <= 5s ? 1 : 0;
  }
  std::ranges::sort(clicks, {}, &Click::time);

  std::size_t clicked = 0;
  std::size_t ignored = 0;
  auto flow =
      join(from(views), from(clicks), JoinBy{&View::user, &View::time, &Click::user, &Click::time},
           // Each stream is in order, but either may be read ahead of the other.
           {.to = 5s, .joining = Joining::left, .event_time = {.out_of_orderness = 1h}}) |
      to([&](const Joined<View, Click>& pair) { ++(pair.right ? clicked : ignored); });
  flow.run();

  fmt::print("{} views: {} clicked within five seconds, {} not\n", views.size(), clicked, ignored);
  return clicked == expected && ignored == views.size() - expected ? 0 : 1;
}
