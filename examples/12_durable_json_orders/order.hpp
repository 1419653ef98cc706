#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace shop {

struct Order {
  std::int64_t id = 0;
  std::string customer;
  std::int64_t cents = 0;

  NLOHMANN_DEFINE_TYPE_INTRUSIVE(Order, id, customer, cents)
};

/// Orders as JSON. A codec by the name `json` is text to SQL: see the view microbatch_items.
struct OrderCodec {
  [[nodiscard]] std::string_view name() const { return "json"; }
  [[nodiscard]] std::uint32_t version() const { return 1; }
  void encode(const Order& order, std::string& out) const { out += nlohmann::json(order).dump(); }
  [[nodiscard]] Order decode(std::string_view bytes) const {
    return nlohmann::json::parse(bytes).get<Order>();
  }
};

}  // namespace shop
