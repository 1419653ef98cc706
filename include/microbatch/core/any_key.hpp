#pragma once

#include <memory>
#include <utility>

namespace microbatch::inline v0_1::detail {

/// Its address stands for the type K, without the RTTI that some programs are built without.
template <class K>
inline constexpr char key_type = 0;

/// A key of whatever type. Its storage is kept, so that setting one key after the other of the same
/// type allocates nothing beyond what the keys do.
class AnyKey {
 public:
  template <class K>
  void set(const K& key) {
    if (holder_ != nullptr && holder_->type == &key_type<K>)
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
    if (!has_ || holder_->type != &key_type<K>) return nullptr;
    return &static_cast<const Of<K>&>(*holder_).key;
  }

 private:
  struct Holder {
    explicit Holder(const char* t) : type(t) {}
    virtual ~Holder() = default;
    const char* type;
  };
  template <class K>
  struct Of final : Holder {
    explicit Of(const K& k) : Holder(&key_type<K>), key(k) {}
    K key;
  };

  std::unique_ptr<Holder> holder_;
  bool has_ = false;
};

}  // namespace microbatch::inline v0_1::detail
