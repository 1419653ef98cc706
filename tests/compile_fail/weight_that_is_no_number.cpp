// expect: a weight function returns a number
#include <microbatch/microbatch.hpp>

#include <string>

int main() {
  microbatch::Stream<std::string> good({.weight = [](const std::string& s) { return s.size(); }});
#ifdef BAD
  microbatch::Stream<std::string> bad({.weight = [](const std::string& s) { return s; }});
#endif
}
