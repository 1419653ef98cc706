#pragma once

#include <bson/bson.h>

#include <memory>
#include <microbatch/mongodb/document.hpp>
#include <string_view>
#include <utility>

namespace microbatch::inline v0_1::mongodb {

template <auto destroy>
struct Destroy {
  template <class T>
  void operator()(T* object) const noexcept {
    destroy(object);
  }
};

/// Owns a bson_t. (std::unique_ptr cannot name the type without losing its alignment, and says so.)
class Bson {
 public:
  Bson() noexcept = default;
  explicit Bson(bson_t* bson) noexcept : bson_(bson) {}
  Bson(Bson&& other) noexcept : bson_(std::exchange(other.bson_, nullptr)) {}
  Bson& operator=(Bson&& other) noexcept {
    std::swap(bson_, other.bson_);
    return *this;
  }
  ~Bson() {
    if (bson_ != nullptr) bson_destroy(bson_);
  }
  [[nodiscard]] bson_t* get() const noexcept { return bson_; }
  [[nodiscard]] bson_t& operator*() const noexcept { return *bson_; }
  [[nodiscard]] explicit operator bool() const noexcept { return bson_ != nullptr; }

 private:
  bson_t* bson_ = nullptr;
};

/// Null where the text is no JSON object.
[[nodiscard]] Bson bson_from_json(std::string_view text, bson_error_t* error = nullptr);
/// A view on the document's bytes; false where they are none.
[[nodiscard]] bool view(const Document& document, bson_t& view) noexcept;
[[nodiscard]] Document copy_of(const bson_t& bson);
[[nodiscard]] Bson copy(const bson_t& bson);
/// Canonical extended JSON: nothing of the types is lost.
[[nodiscard]] std::string json_of(const bson_t& bson);

}  // namespace microbatch::inline v0_1::mongodb
