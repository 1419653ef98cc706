# What Doxygen reads in place of a header: what users see of it.

# They write microbatch::Stream; and Doxygen 1.9 does not read C++20's nested inline namespaces.
s/namespace microbatch::inline v[0-9_]+/namespace microbatch/

# The appends that a Stream inherits are public, though their class stands in detail.
/^\/\/\/ The appends that Stream and Producer/i }
/^class Appends /,/^};/{
  /^};/a namespace detail {
}
s/detail::Appends/Appends/g
