//! Drawings for the page: vector graphics that a browser draws without any script, in the page's own colours.
//!
//! Colours of text, lines and grids are classes of the style sheet, so that a drawing follows the page into the dark. Each drawing is an
//! image with a sentence that says what it shows, for those who cannot see it; the figures stand in a table beside it.

use maud::{Markup, PreEscaped, html};

/// One drawing under way, in its own units; the page scales it to its width.
pub(super) struct Svg {
    width: f64,
    height: f64,
    label: String,
    parts: String,
}

/// Where text hangs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// Empty; `label` says what it shows.
    pub(super) fn new(width: f64, height: f64, label: &str) -> Self {
        Svg { width, height, label: label.to_owned(), parts: String::new() }
    }

    /// A line of class `class`, or of `colour` where that is given.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str, colour: Option<&str>) {
        let stroke = colour.map(|colour| format!(" stroke=\"{colour}\"")).unwrap_or_default();
        self.parts.push_str(&format!(
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"{stroke}/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// A line through points.
    pub(super) fn path(&mut self, points: &[(f64, f64)], colour: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.parts
            .push_str(&format!("<polyline class=\"curve\" points=\"{}\" stroke=\"{colour}\"/>", points.join(" ")));
    }

    /// A filled rectangle.
    pub(super) fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), class: &str, colour: Option<&str>) {
        let fill = colour.map(|colour| format!(" fill=\"{colour}\"")).unwrap_or_default();
        self.parts.push_str(&format!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\"{fill}/>",
            width.max(0.0)
        ));
    }

    /// A point; hollow where `filled` is false. `title` shows when the pointer rests on it.
    pub(super) fn point(&mut self, (x, y): (f64, f64), radius: f64, colour: &str, filled: bool, title: &str) {
        let fill = if filled { colour } else { "var(--paper)" };
        self.parts.push_str(&format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"2\"><title>{}</title></circle>",
            html! { (title) }.into_string()
        ));
    }

    /// A line of text.
    pub(super) fn text(&mut self, (x, y): (f64, f64), text: &str, class: &str, anchor: Anchor) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.parts.push_str(&format!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            html! { (text) }.into_string()
        ));
    }

    /// The drawing as a part of the page.
    pub(super) fn finish(self) -> Markup {
        let view = format!("0 0 {:.0} {:.0}", self.width, self.height);
        html! {
            div.wide tabindex="0" role="region" aria-label=(self.label) {
                svg viewBox=(view) role="img" aria-label=(self.label) { title { (self.label) } (PreEscaped(self.parts)) }
            }
        }
    }
}

/// An axis from values to places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    is_logarithmic: bool,
}

impl Axis {
    /// From zero to a little more than the largest of `values`.
    pub(super) fn linear(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let high = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        Axis { low: 0.0, high: if high > 0.0 { high * 1.08 } else { 1.0 }, from, to, is_logarithmic: false }
    }

    /// Over all `values` above zero, by factors.
    pub(super) fn logarithmic(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let positive = values.filter(|value| value.is_finite() && *value > 0.0);
        let (low, high) =
            positive.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        if high <= 0.0 {
            return Axis { low: 1.0, high: 10.0, from, to, is_logarithmic: true };
        }
        Axis { low: low / 1.15, high: high * 1.15, from, to, is_logarithmic: true }
    }

    /// Alike to both sides of 1, far enough for all `values`, and not further than a factor of ten.
    pub(super) fn of_ratios(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let furthest = values.filter(|value| *value > 0.0).map(|value| value.ln().abs()).fold(0.0, f64::max);
        let reach = (furthest * 1.1).clamp(1.2_f64.ln(), 10.0_f64.ln()).exp();
        Axis { low: 1.0 / reach, high: reach, from, to, is_logarithmic: true }
    }

    /// The place of a value; values beyond the ends stand at the ends.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = if self.is_logarithmic {
            (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Round values on it, not more than a handful.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if !self.is_logarithmic {
            let rough = (self.high - self.low) / 5.0;
            let power = 10_f64.powf(rough.log10().floor());
            let step = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|step| *step >= rough);
            let step = step.unwrap_or(rough);
            return (0..=(self.high / step) as u32).map(|count| f64::from(count) * step).collect();
        }
        let fine = self.high / self.low < 12.0;
        let digits: &[f64] = if fine { &[1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 7.0, 8.0, 9.0] } else { &[1.0, 2.0, 5.0] };
        let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let all = decades.flat_map(|decade| digits.iter().map(move |digit| digit * 10_f64.powi(decade)));
        let within: Vec<f64> = all.filter(|tick| *tick >= self.low && *tick <= self.high).collect();
        let step = within.len().div_ceil(9).max(1);
        within.into_iter().step_by(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_a_handful_of_round_ticks_within_its_ends() {
        for axis in [
            Axis::linear([0.0, 431.0].into_iter(), 0.0, 100.0),
            Axis::logarithmic([0.4, 3_000.0].into_iter(), 0.0, 100.0),
            Axis::logarithmic([11.0, 13.0].into_iter(), 0.0, 100.0),
            Axis::of_ratios([0.9, 1.3].into_iter(), 0.0, 100.0),
        ] {
            let ticks = axis.ticks();
            assert!((1..=10).contains(&ticks.len()), "{axis:?}: {ticks:?}");
            assert!(ticks.iter().all(|tick| (0.0..=100.0).contains(&axis.at(*tick))));
        }
        assert!((Axis::of_ratios([2.0].into_iter(), 0.0, 100.0).at(1.0) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn what_stands_in_a_drawing_cannot_break_out_of_it() {
        let mut svg = Svg::new(10.0, 10.0, "a \"label\"");
        svg.text((0.0, 0.0), "<script>", "label", Anchor::Start);
        let text = svg.finish().into_string();
        assert!(text.contains("&lt;script&gt;") && text.contains("a &quot;label&quot;") && !text.contains("<script"));
    }
}
