//! Plots as SVG: for each kind of work, a bar for each contestant, with the spread of its rounds.
//! It must not need more than text to write them, nor a script to show them.

use std::fmt::Write as _;

/// One kind of work.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) unit: &'static str,
    pub(crate) bars: Vec<Bar>,
}

/// One contestant: its median, lowest and highest round.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) ours: bool,
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

const LINE: usize = 18;
const LEFT: usize = 190;
const WIDTH: usize = 420;

/// All panels, one below the other.
pub(crate) fn render(panels: &[Panel]) -> String {
    let lines: usize = panels.iter().map(|panel| panel.bars.len() + 3).sum();
    let (width, height) = (LEFT + WIDTH + 90, lines * LINE + LINE);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut y = LINE;
    for panel in panels {
        draw(&mut svg, panel, &mut y);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, panel: &Panel, y: &mut usize) {
    let most = panel.bars.iter().map(|bar| bar.high).fold(0.0, f64::max);
    let at = |value: f64| LEFT as f64 + value / most.max(f64::MIN_POSITIVE) * WIDTH as f64;
    *y += LINE;
    // Writing to a string does not fail.
    let _ = writeln!(
        svg,
        "<text x=\"8\" y=\"{y}\" font-weight=\"bold\">{} ({})</text>",
        escaped(&panel.title),
        panel.unit
    );
    for bar in &panel.bars {
        *y += LINE;
        let colour = if bar.ours { "#1b6ca8" } else { "#b8bcc2" };
        let (top, middle, end) = (*y - 12, *y - 5, at(bar.median));
        let (low, high) = (at(bar.low), at(bar.high));
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{top}\" width=\"{:.1}\" height=\"14\" fill=\"{colour}\"/>\
             <path d=\"M{low:.1} {middle}H{high:.1}\" stroke=\"black\"/>\
             <text x=\"{:.1}\" y=\"{y}\">{:.1}</text>",
            LEFT - 8,
            escaped(&bar.name),
            end - LEFT as f64,
            high + 6.0,
            bar.median
        );
    }
    *y += LINE;
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
