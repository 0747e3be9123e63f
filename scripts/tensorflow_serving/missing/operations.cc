// tensorflow-text's operations, which upstream's server has in its binary, out of the wheel's
// libraries. They are loaded as Python loads them and not linked: newer ones bring a protobuf
// of their own, which must not meet TensorFlow's.
#include <cstdio>
#include <cstdlib>

#include "tensorflow/c/c_api.h"

namespace {

const char* const kLibraries[] = {
#include "operations.inc"
};

const bool kLoaded = [] {
  for (const char* library : kLibraries) {
    TF_Status* status = TF_NewStatus();
    TF_LoadLibrary(library, status);
    if (TF_GetCode(status) != TF_OK) {
      std::fprintf(stderr, "%s: %s\n", library, TF_Message(status));
      std::exit(1);
    }
    TF_DeleteStatus(status);
  }
  return true;
}();

}  // namespace
