#pragma once

namespace tensorflow {

constexpr char kSavedModelTagServe[] = "serve";

}  // namespace tensorflow
