// expect: join needs keys of the same type on both sides
#include <microbatch/microbatch.hpp>

#include <string>
#include <vector>

using namespace microbatch;

struct View {
  std::chrono::seconds time;
  int user;
  std::string name;
};

int main() {
  const std::vector<View> views;
  auto good = join(from(views), from(views),
                   JoinBy{&View::user, &View::time, &View::user, &View::time}, {}) |
              to([](const auto&) {});
#ifdef BAD
  auto bad = join(from(views), from(views),
                  JoinBy{&View::user, &View::time, &View::name, &View::time}, {}) |
             to([](const auto&) {});
  bad.run();
#endif
}
