#include "support/ledger_checker.hpp"

#include "support/catch.hpp"

namespace {

using ledger::Call;
using ledger::Entry;

/// Two producers, four windows of two, all of them right.
struct Books {
  ledger::Record record;
  ledger::Rules rules{.count = 2, .at_most = 2};
  microbatch::Stats stats;

  Books() {
    record.accepted = {4, 4};
    for (std::uint64_t w = 0; w < 4; ++w)
      record.calls.push_back({.window = w,
                              .reason = microbatch::Reason::count,
                              .succeeded = true,
                              .items = {Entry::make(0, w), Entry::make(1, w)}});
    stats.offered = stats.accepted = stats.delivered = 8;
  }
  [[nodiscard]] std::string check() const { return ledger::check(record, rules, stats); }
};

}  // namespace

TEST_CASE("the ledger checker finds nothing in books that are right", "[ledger_checker]") {
  CHECK(Books().check() == "");
}

TEST_CASE("the ledger checker catches a dropped item", "[ledger_checker]") {
  Books books;
  books.record.calls[3].items.pop_back();
  CHECK_THAT(books.check(), ContainsSubstring("lost: 1 accepted"));
}

TEST_CASE("the ledger checker catches a drop that is hidden by the counters", "[ledger_checker]") {
  Books books;
  books.record.calls[3].items.pop_back();
  books.stats.delivered = 7;
  books.stats.handed_back = 1;
  CHECK_THAT(books.check(), ContainsSubstring("lost: 1 accepted"));
}

TEST_CASE("the ledger checker accepts a drop that is counted", "[ledger_checker]") {
  Books books;
  books.record.calls[3] = {.window = 3,
                           .reason = microbatch::Reason::close,
                           .succeeded = true,
                           .items = {Entry::make(0, 3)}};
  books.stats.delivered = 7;
  books.stats.dropped_by[0] = 1;
  CHECK(books.check() == "");
}

TEST_CASE("the ledger checker catches a duplicate", "[ledger_checker]") {
  Books books;
  books.record.calls[3].items[0] = Entry::make(0, 2);
  CHECK_THAT(books.check(), ContainsSubstring("duplicate: 0:2 ended twice"));
}

TEST_CASE("the ledger checker catches an item that ended in two ways", "[ledger_checker]") {
  Books books;
  books.record.handed_back.push_back(Entry::make(1, 1));
  CHECK_THAT(books.check(), ContainsSubstring("duplicate: 1:1 ended twice"));
}

TEST_CASE("the ledger checker catches a second call without a fault", "[ledger_checker]") {
  Books books;
  Call again = books.record.calls[1];
  again.attempt = 2;
  books.record.calls[1].succeeded = false;
  books.record.calls.insert(books.record.calls.begin() + 2, again);
  CHECK_THAT(books.check(), ContainsSubstring("called again without a fault"));
  books.rules.faults = true;
  CHECK(books.check() == "");
}

TEST_CASE("the ledger checker catches two items that were swapped", "[ledger_checker]") {
  Books books;
  std::swap(books.record.calls[1].items[1], books.record.calls[2].items[1]);
  CHECK_THAT(books.check(), ContainsSubstring("order: 1:2 came in window 1"));
}

TEST_CASE("the ledger checker catches two windows that were swapped", "[ledger_checker]") {
  Books books;
  std::swap(books.record.calls[1], books.record.calls[2]);
  CHECK_THAT(books.check(), ContainsSubstring("order: window 1 was called after window 2"));
}

TEST_CASE("the ledger checker catches a flipped bit, wherever it is", "[ledger_checker]") {
  const auto bit = GENERATE(0U, 17U, 63U);
  Books producer;
  producer.record.calls[0].items[0].producer ^= 1U << (bit % 32);
  CHECK_THAT(producer.check(), ContainsSubstring("corrupted"));
  Books sequence;
  sequence.record.calls[0].items[0].sequence ^= std::uint64_t{1} << bit;
  CHECK_THAT(sequence.check(), ContainsSubstring("corrupted"));
  Books checksum;
  checksum.record.calls[0].items[0].checksum ^= std::uint64_t{1} << bit;
  CHECK_THAT(checksum.check(), ContainsSubstring("corrupted"));
}

TEST_CASE("the ledger checker catches an item that nobody appended", "[ledger_checker]") {
  Books books;
  books.record.calls[3].items[0] = Entry::make(0, 4);
  CHECK_THAT(books.check(), ContainsSubstring("invented: 0:4"));
}

TEST_CASE("the ledger checker catches a count window of the wrong size", "[ledger_checker]") {
  Books books;
  books.record.calls[2].items.push_back(Entry::make(0, 3));
  books.record.calls[3].items.erase(books.record.calls[3].items.begin());
  const std::string found = books.check();
  CHECK_THAT(found, ContainsSubstring("window 2 by count holds 3 items and not 2"));
  CHECK_THAT(found, ContainsSubstring("window 2 holds 3 items, more than 2"));
  CHECK_THAT(found, ContainsSubstring("window 3 by count holds 1 items and not 2"));
}

TEST_CASE("the ledger checker catches counters that do not agree", "[ledger_checker]") {
  Books unbalanced;
  unbalanced.stats.offered = 9;
  CHECK_THAT(unbalanced.check(), ContainsSubstring("does not balance"));
  Books forgotten;
  forgotten.stats.delivered = 7;
  forgotten.stats.pending = 1;
  CHECK_THAT(forgotten.check(), ContainsSubstring("at rest 1 are pending"));
  Books exaggerated;
  exaggerated.stats.delivered = exaggerated.stats.accepted = exaggerated.stats.offered = 9;
  CHECK_THAT(exaggerated.check(), ContainsSubstring("counters: 9 are counted as delivered"));
}
