// Numbers for people.
#pragma once

#include <string>

namespace bench {

// Three digits that mean something, and commas: 0.123, 12.3, 200,000. "" if it is not a number.
std::string number(double value);

} // namespace bench
