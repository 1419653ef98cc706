#pragma once

#include <memory>
#include <typeinfo>
#include <utility>

namespace microbatch::detail {

/// A key of whatever type. Its storage is kept, so that setting one key after the other of the same
/// type allocates nothing beyond what the keys do.
class AnyKey {
 public:
  template <class K>
  void set(const K& key) {
    if (holder_ != nullptr && holder_->type() == typeid(K))
      static_cast<Of<K>&>(*holder_).key = key;
    else
      holder_ = std::make_unique<Of<K>>(key);
    has_ = true;
  }
  void reset() noexcept { has_ = false; }

  [[nodiscard]] bool has() const noexcept { return has_; }
  /// Null where there is none, or one of another type.
  template <class K>
  [[nodiscard]] const K* get() const noexcept {
    if (!has_ || holder_->type() != typeid(K)) return nullptr;
    return &static_cast<const Of<K>&>(*holder_).key;
  }

 private:
  struct Holder {
    virtual ~Holder() = default;
    [[nodiscard]] virtual const std::type_info& type() const noexcept = 0;
  };
  template <class K>
  struct Of final : Holder {
    explicit Of(const K& k) : key(k) {}
    [[nodiscard]] const std::type_info& type() const noexcept override { return typeid(K); }
    K key;
  };

  std::unique_ptr<Holder> holder_;
  bool has_ = false;
};

}  // namespace microbatch::detail
