// A rule with state per key: a card that pays more than five times its own average, or from another
// country within an hour of the last payment, is suspicious. The payments are made by a seeded
// generator, which knows which ones it meant to be.

#include <fmt/format.h>

#include <microbatch/microbatch.hpp>
#include <random>
#include <set>
#include <vector>

namespace {

struct Payment {
  int id = 0;
  int card = 0;
  std::chrono::seconds time{};
  double amount = 0;
  int country = 0;
};
struct Profile {
  std::size_t payments = 0;
  double total = 0;
  Payment last;
};

bool is_suspicious(const Profile& profile, const Payment& payment) {
  if (profile.payments < 3) return false;
  const double average = profile.total / static_cast<double>(profile.payments);
  return payment.amount > 5 * average || (payment.country != profile.last.country &&
                                          payment.time - profile.last.time < std::chrono::hours(1));
}

}  // namespace

int main() {
  using namespace microbatch;
  std::mt19937 random(11);
  std::vector<Payment> payments;
  std::set<int> meant;
  for (int id = 0; id < 20'000; ++id) {
    const int card = static_cast<int>(random() % 200);
    Payment payment{.id = id,
                    .card = card,
                    .time = std::chrono::minutes(id),
                    .amount = 20.0 + static_cast<double>(random() % 20),
                    .country = card % 5};
    if (id > 5000 && random() % 500 == 0) {
      payment.amount *= 20;
      meant.insert(id);
    }
    payments.push_back(payment);
  }

  Table<int, Profile> profiles({.max_keys = 100'000});
  std::set<int> found;
  auto flow =
      from(payments) | by_key(&Payment::card) |
      window(any_of(CountWindow{16}, SessionWindow{std::chrono::milliseconds(50)})) |
      process([&](Window<Payment>& window) {
        std::vector<Payment> suspicious;
        profiles.transaction([&](auto& rows) {  // all of the window, or, if it fails, nothing
          Profile& profile = rows[window.key<int>()];
          for (const Payment& payment : window) {
            if (is_suspicious(profile, payment)) {
              suspicious.push_back(payment);
              continue;  // it is no part of what the card usually does
            }
            ++profile.payments;
            profile.total += payment.amount;
            profile.last = payment;
          }
        });
        return suspicious;
      }) |
      to([&](const Payment& payment) { found.insert(payment.id); });
  flow.run();

  fmt::print("{} payments of {} cards: {} suspicious, {} meant to be\n", payments.size(),
             profiles.size(), found.size(), meant.size());
  return found == meant && !meant.empty() ? 0 : 1;
}
