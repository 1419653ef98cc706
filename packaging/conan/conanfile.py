# A Conan 2 recipe for this checkout: conan create packaging/conan --build=missing
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir


class Microbatch(ConanFile):
    name = "microbatch"
    description = "Turns items that come one at a time into batches"
    license = "MIT"
    topics = ("batching", "streams", "queue", "windows")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    # What each component needs, and which part of that it links to.
    components = {
        "sqlite": ("sqlite3/[>=3.37 <4]", "sqlite3::sqlite3"),
        "prometheus": ("prometheus-cpp/[>=1.1 <2]", "prometheus-cpp::prometheus-cpp-pull"),
        "kafka": ("librdkafka/[>=1.9 <3]", "librdkafka::rdkafka"),
        "mqtt": ("paho-mqtt-c/[>=1.3.9 <2]", "paho-mqtt-c::_paho-mqtt-c"),
        "mongodb": ("mongo-c-driver/[>=1.17 <2]", "mongo-c-driver::mongoc"),
    }
    options = {"shared": [True, False]} | dict.fromkeys(components, [True, False])
    default_options = dict.fromkeys(options, False)

    @property
    def _root(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        header = load(self, os.path.join(self._root, "include", "microbatch", "version.hpp"))
        self.version = ".".join(re.findall(r"#define MICROBATCH_VERSION_[A-Z]+ (\d+)", header))

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "LICENSE", "include/*", "src/*", "packaging/cmake/*", "packaging/monitoring/*"):
            copy(self, pattern, src=self._root, dst=self.export_sources_folder)

    def _enabled(self):
        return [name for name in self.components if self.options.get_safe(name)]

    def requirements(self):
        self.requires("fmt/[>=9 <12]", transitive_headers=True)
        for name in self._enabled():
            self.requires(self.components[name][0])

    def validate(self):
        check_min_cppstd(self, 20)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        for option in ("TESTS", "BENCH", "EXAMPLES"):
            toolchain.cache_variables[f"MICROBATCH_BUILD_{option}"] = False
        # What is not asked for is off, also where its library is on the machine.
        for file in os.listdir(os.path.join(self.source_folder, "packaging", "cmake", "components")):
            name = os.path.splitext(file)[0]
            toolchain.cache_variables[f"MICROBATCH_{name.upper()}"] = "ON" if name in self._enabled() else "OFF"
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", src=self.source_folder, dst=os.path.join(self.package_folder, "licenses"))
        for ours in ("cmake", "pkgconfig"):  # Conan writes its own
            rmdir(self, os.path.join(self.package_folder, "lib", ours))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "microbatch")
        core = self.cpp_info.components["core"]
        core.set_property("cmake_target_name", "microbatch::microbatch")
        core.set_property("pkg_config_name", "microbatch")
        core.libs = ["microbatch"]
        core.requires = ["fmt::fmt"]
        core.system_libs = ["pthread"] if self.settings.os in ("Linux", "FreeBSD") else []
        for name in self._enabled():
            part = self.cpp_info.components[name]
            part.set_property("cmake_target_name", f"microbatch::{name}")
            part.set_property("pkg_config_name", f"microbatch_{name}")
            part.libs = [f"microbatch_{name}"]
            part.requires = ["core", self.components[name][1]]
