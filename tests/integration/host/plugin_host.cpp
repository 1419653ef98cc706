// plugin_host PLUGIN [TIMES]: opens the library, uses it and closes it, and requires that it is
// gone from the process's memory map each time, and that no thread of it is left.

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

namespace {

bool is_mapped(const std::string& name) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.find(name) != std::string::npos) return true;
  return false;
}

std::ptrdiff_t threads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const std::string path = argv[1];
  const std::string name = std::filesystem::path(path).filename();
  const int times = argc > 2 ? std::atoi(argv[2]) : 3;
  int failed = 0;
  const auto expect = [&](bool good, const char* what) {
    if (good) return;
    std::printf("failed: %s\n", what);
    ++failed;
  };
  for (int i = 0; i < times && failed == 0; ++i) {
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      std::printf("failed: %s\n", dlerror());
      return 1;
    }
    expect(is_mapped(name), "an open library is in the map");
    const auto run = reinterpret_cast<long (*)(long)>(dlsym(library, "run_plugin"));
    // On a thread of the host's that ends before, and on one that lives on: this one.
    std::thread([&] { expect(run(10'000) == 10'000, "a thread's items arrive"); }).join();
    expect(run(10'000) == 10'000, "the main thread's items arrive");
    expect(dlclose(library) == 0, "the library closes");
    expect(!is_mapped(name), "a closed library is gone from the map");
    expect(threads() == 1, "no thread of it is left");
  }
  return failed == 0 ? 0 : 1;
}
