// Technique 5 of 8, the join of two streams: who started whom? One stream brings the processes of
// this machine, the other their parents' numbers; pairs come where the two match.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <microbatch/microbatch.hpp>
#include <string>
#include <vector>

namespace {

struct Process {
  int number = 0;
  int parent = 0;
  std::string name;
  std::chrono::seconds read_at{};
};

std::vector<Process> processes() {
  std::vector<Process> all;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", none)) {
    std::ifstream status(entry.path() / "status");
    Process process;
    for (std::string field; status >> field; status.ignore(4096, '\n')) {
      if (field == "Name:") status >> process.name;
      if (field == "Pid:") status >> process.number;
      if (field == "PPid:") status >> process.parent;
    }
    if (process.number != 0) all.push_back(process);
  }
  if (all.empty()) all = {{1, 0, "init", {}}, {2, 1, "shell", {}}};  // where there is no /proc
  return all;
}

}  // namespace

int main() {
  using namespace microbatch;
  using namespace std::chrono_literals;
  const std::vector<Process> children = processes();
  const std::vector<Process> parents = children;

  std::size_t pairs = 0;
  std::size_t alone = 0;
  bool right = true;
  auto flow = join(from(children), from(parents),
                   JoinBy{&Process::parent, &Process::read_at, &Process::number, &Process::read_at},
                   {.to = 1s, .joining = Joining::left}) |
              to([&](const Joined<Process, Process>& pair) {
                if (!pair.right) return void(++alone);
                if (++pairs <= 5) fmt::print("{} -> {}\n", pair.right->name, pair.left.name);
                right = right && pair.left.parent == pair.right->number;
              });
  flow.run();
  fmt::print("{} with their parent, {} without\n", pairs, alone);
  return right && pairs + alone == children.size() ? 0 : 1;
}
