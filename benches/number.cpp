#include "number.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace bench {

std::string number(double value) {
    if (std::isnan(value))
        return "";
    char text[64];
    int digits = value == 0 ? 0 : 2 - static_cast<int>(std::floor(std::log10(std::fabs(value))));
    std::snprintf(text, sizeof text, "%.*f", std::max(0, std::min(digits, 3)), value);
    std::string out = text;
    if (out.find('.') != std::string::npos) {
        out.erase(out.find_last_not_of('0') + 1);
        if (out.back() == '.')
            out.pop_back();
    } else {
        for (int at = static_cast<int>(out.size()) - 3; at > 0; at -= 3)
            out.insert(std::size_t(at), ",");
    }
    return out;
}

} // namespace bench
