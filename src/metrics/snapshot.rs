//! The numbers of a ledger at a moment: by name, as JSON, and as Prometheus reads them.

use std::fmt::Write as _;

use super::histogram::Times;
use super::{Metrics, Operation};
use crate::config;
use crate::error::{Error, Result, Status, excerpt};

/// A number that goes up and down, at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gauge {
    pub name: &'static str,
    pub help: &'static str,
    /// `None` where it could not be found out.
    pub value: Option<f64>,
}

/// The numbers of a ledger at a moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    ledger: String,
    counters: Vec<(&'static str, &'static str, u64)>,
    gauges: Vec<Gauge>,
    connections_out_seconds: Vec<f64>,
    errors: Vec<(Status, u64)>,
    latencies: Vec<(Operation, Times)>,
}

/// Parts of the calls, with the names of their quantiles.
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];

impl Metrics {
    /// What the counters say now, with what others know of the ledger of this name.
    pub fn snapshot(
        &self,
        ledger: String,
        gauges: Vec<Gauge>,
        connections_out_seconds: Vec<f64>,
    ) -> Snapshot {
        // Outcomes are no errors.
        let is_error = |status: &Status| !matches!(status, Status::Ok | Status::NotFound | Status::Timeout);
        let errors = Status::ALL.into_iter().filter(is_error);
        Snapshot {
            ledger,
            counters: self.counters(),
            gauges,
            connections_out_seconds,
            errors: errors.map(|status| (status, self.errors[status as usize].get())).collect(),
            latencies: Operation::ALL
                .iter()
                .map(|operation| (*operation, self.times[*operation as usize].times()))
                .collect(),
        }
    }
}

impl Snapshot {
    /// The number with this name: that of a counter or gauge, `errors.BUSY` and its like, or
    /// `latency_seconds.append.p99` and its like. `None` for a gauge that could not be found out.
    pub fn get(&self, name: &str) -> Result<Option<f64>> {
        let number = self.flat().into_iter().find(|(known, _)| known == name);
        number.map(|(_, value)| value).ok_or_else(|| {
            let known = self.flat();
            let nearest = config::nearest(name, known.iter().map(|(known, _)| known.as_str()));
            let hint =
                nearest.map(|nearest| format!("; the nearest name is \"{nearest}\"")).unwrap_or_default();
            Error::argument("name", format!("there is no metric \"{}\"{hint}", excerpt(name)))
        })
    }

    /// Every number under its full name.
    #[allow(clippy::cast_precision_loss)] // Exact below 2^53.
    fn flat(&self) -> Vec<(String, Option<f64>)> {
        let mut flat: Vec<(String, Option<f64>)> = Vec::new();
        flat.extend(self.counters.iter().map(|(name, _, value)| ((*name).to_string(), Some(*value as f64))));
        flat.extend(self.gauges.iter().map(|gauge| (gauge.name.to_string(), gauge.value)));
        flat.extend(
            self.errors
                .iter()
                .map(|(status, count)| (format!("errors.{}", status.describe().0), Some(*count as f64))),
        );
        for (operation, times) in &self.latencies {
            for (name, value) in summary(times) {
                flat.push((format!("latency_seconds.{}.{name}", operation.name()), Some(value)));
            }
        }
        flat
    }

    /// A JSON object: counters and gauges by name (null where a gauge could not be found out),
    /// `connections_out_seconds`, an array, `errors` by status, and `latency_seconds` by operation.
    pub fn to_json(&self) -> String {
        let mut members: Vec<String> =
            self.counters.iter().map(|(name, _, value)| format!("\"{name}\":{value}")).collect();
        let gauge =
            |gauge: &Gauge| format!("\"{}\":{}", gauge.name, gauge.value.map_or("null".into(), number));
        members.extend(self.gauges.iter().map(gauge));
        let seconds = self.connections_out_seconds.iter().map(|seconds| number(*seconds));
        members.push(format!("\"connections_out_seconds\":[{}]", join(seconds)));
        let errors = self.errors.iter().map(|(status, count)| format!("\"{}\":{count}", status.describe().0));
        members.push(format!("\"errors\":{{{}}}", join(errors)));
        let latencies = self.latencies.iter().map(|(operation, times)| {
            let summary =
                summary(times).into_iter().map(|(name, value)| format!("\"{name}\":{}", number(value)));
            format!("\"{}\":{{{}}}", operation.name(), join(summary))
        });
        members.push(format!("\"latency_seconds\":{{{}}}", join(latencies)));
        format!("{{{}}}", members.join(","))
    }

    /// In Prometheus' text format, version 0.0.4
    /// (<https://prometheus.io/docs/instrumenting/exposition_formats/>), each number with the label
    /// `ledger`, its path.
    pub fn to_prometheus(&self) -> String {
        let label = format!("ledger=\"{}\"", escape(&self.ledger));
        let mut out = String::new();
        // Writing to a String cannot fail.
        let head = |out: &mut String, name: &str, kind: &str, help: &str| {
            let _ = writeln!(out, "# HELP simledger_{name} {help}\n# TYPE simledger_{name} {kind}");
        };
        for (name, help, value) in &self.counters {
            head(&mut out, &format!("{name}_total"), "counter", help);
            let _ = writeln!(out, "simledger_{name}_total{{{label}}} {value}");
        }
        for Gauge { name, help, value } in &self.gauges {
            let Some(value) = value else { continue };
            head(&mut out, name, "gauge", help);
            let _ = writeln!(out, "simledger_{name}{{{label}}} {}", number(*value));
        }
        head(&mut out, "errors_total", "counter", "Calls that failed, by status.");
        for (status, count) in &self.errors {
            let status = status.describe().0;
            let _ = writeln!(out, "simledger_errors_total{{{label},status=\"{status}\"}} {count}");
        }
        head(&mut out, "latency_seconds", "histogram", "How long operations took.");
        for (operation, times) in &self.latencies {
            let label = format!("{label},operation=\"{}\"", operation.name());
            for (le, count) in times.cumulative() {
                let le = number(le);
                let _ = writeln!(out, "simledger_latency_seconds_bucket{{{label},le=\"{le}\"}} {count}");
            }
            let count = times.count();
            let _ = writeln!(out, "simledger_latency_seconds_bucket{{{label},le=\"+Inf\"}} {count}");
            let _ = writeln!(out, "simledger_latency_seconds_sum{{{label}}} {}", number(times.sum()));
            let _ = writeln!(out, "simledger_latency_seconds_count{{{label}}} {count}");
        }
        out
    }
}

#[allow(clippy::cast_precision_loss)] // Exact below 2^53.
fn summary(times: &Times) -> Vec<(&'static str, f64)> {
    let mut summary = vec![("count", times.count() as f64), ("sum", times.sum())];
    summary.extend(QUANTILES.map(|(name, part)| (name, times.quantile(part))));
    summary.push(("max", times.max()));
    summary
}

/// A number as JSON and Prometheus both read it; whole ones without decimals.
fn number(value: f64) -> String {
    let text = serde_json::to_string(&value).unwrap_or_default();
    text.strip_suffix(".0").map_or(text.clone(), ToString::to_string)
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

/// The value of a label.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
