#include <stdexcept>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Names;
using test::Rig;
using test::Windows;

namespace {

bool is_end(char c) { return c == ';'; }

}  // namespace

TEST_CASE("PredicateWindow: the matching item closes the window and is its last", "[emitter]") {
  Rig<char> rig;
  rig.consume(PredicateWindow{is_end});
  rig.append('a', 'b', ';', 'c', ';', ';', 'd');
  rig.run();
  CHECK(rig.items() == Windows<char>{{'a', 'b', ';'}, {'c', ';'}, {';'}});
  CHECK(rig.reasons() == Names(3, "predicate"));
  rig.append('e');
  rig.run();
  CHECK(rig.windows.size() == 3);
  rig.append(';');
  rig.run();
  CHECK(rig.windows.back().items == std::vector{'d', 'e', ';'});
  rig.close();
}

TEST_CASE("PredicateWindow: each item is asked once, in order", "[emitter]") {
  Rig<char> rig;
  std::string asked;
  rig.consume(any_of(CountWindow{4}, PredicateWindow{[&](char c) {
                       asked += c;
                       return is_end(c);
                     }}));
  const std::string text = "abcdefgh;i;;jklmnop;q";
  for (std::size_t i = 0; i < text.size(); ++i) {
    rig.append(text[i]);
    if (i % 3 == 0) rig.run();
  }
  rig.run();
  CHECK(asked == text);
  rig.close();
  CHECK(rig.items() == Windows<char>{{'a', 'b', 'c', 'd'},
                                     {'e', 'f', 'g', 'h'},
                                     {';'},
                                     {'i', ';'},
                                     {';'},
                                     {'j', 'k', 'l', 'm'},
                                     {'n', 'o', 'p', ';'},
                                     {'q'}});
}

TEST_CASE("PredicateWindow: a flush takes what has not matched, and the next match counts",
          "[emitter]") {
  Rig<char> rig;
  rig.consume(PredicateWindow{is_end});
  rig.append('a', 'b');
  rig.consumer->flush();
  rig.append('c', ';');
  rig.run();
  CHECK(rig.items() == Windows<char>{{'a', 'b'}, {'c', ';'}});
  CHECK(rig.reasons() == Names{"flush", "predicate"});
  rig.close();
}

TEST_CASE("PredicateWindow: a predicate that throws counts as false, and is reported",
          "[emitter]") {
  Rig<char> rig;
  rig.consume(PredicateWindow{[](char c) {
    if (c == '!') throw std::runtime_error("cannot tell");
    return is_end(c);
  }});
  rig.append('a', '!', 'b', ';');
  rig.run();
  CHECK(rig.items() == Windows<char>{{'a', '!', 'b', ';'}});
  REQUIRE(rig.errors.size() == 1);
  CHECK(rig.errors[0].where == BackgroundError::Where::emitter);
  CHECK(rig.errors[0].text == "cannot tell");
  rig.close();
}

TEST_CASE("PredicateWindow: a predicate that throws does not hold back an age limit beside it",
          "[emitter]") {
  Rig<char> rig;
  rig.consume(any_of(MaxAgeWindow{1s}, PredicateWindow{[](char) -> bool {
                       throw std::runtime_error("cannot tell");
                     }}));
  rig.append('a');
  rig.run();
  rig.at(1s);
  CHECK(rig.items() == Windows<char>{{'a'}});
  rig.close();
}
