//! A flame graph as SVG: one picture, no script; each function's box tells its share when pointed at.

use std::io::{self, Write};

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 10.0;
const ROW_HEIGHT: usize = 18;
const HEAD_HEIGHT: usize = 40;

/// Width of a letter, of 12 pixels' monospace.
const LETTER_WIDTH: f64 = 7.25;

/// Boxes narrower than this are left out: nobody would see them.
const WIDTH_MIN: f64 = 0.2;

/// A function on a stack, and what was taken in it and in all it called.
struct Node<'a> {
    name: &'a str,
    bytes: u64,
    children: Vec<Node<'a>>,
}

/// Draws stacks (outermost function first, separated by ';') with their bytes. `stacks` is sorted.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write(out: &mut impl Write, stacks: &[(&str, u64)]) -> io::Result<()> {
    let root = tree(stacks);
    let rows = depth(&root);
    let height = HEAD_HEIGHT + rows * ROW_HEIGHT + MARGIN as usize;
    writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">
<style>text {{ font: 12px monospace; fill: #222 }} rect {{ stroke: #fff; stroke-width: 0.5 }} .head {{ font: 15px sans-serif }}</style>
<rect width="100%" height="100%" fill="#fff"/>
<text class="head" x="{MARGIN}" y="25">Memory taken, by call: {}</text>"##,
        size(root.bytes)
    )?;
    if root.bytes > 0 {
        let scale = (WIDTH - 2.0 * MARGIN) / root.bytes as f64;
        draw(out, &root, root.bytes, MARGIN, scale, height - MARGIN as usize - ROW_HEIGHT)?;
    }
    writeln!(out, "</svg>")
}

fn tree<'a>(stacks: &[(&'a str, u64)]) -> Node<'a> {
    let mut root = Node { name: "all", bytes: 0, children: Vec::new() };
    for &(stack, bytes) in stacks {
        root.bytes += bytes;
        let mut node = &mut root;
        for name in stack.split(';') {
            // Sorted stacks that share a function come one after the other, or nearly so.
            let index = node.children.iter().rposition(|child| child.name == name).unwrap_or_else(|| {
                node.children.push(Node { name, bytes: 0, children: Vec::new() });
                node.children.len() - 1
            });
            node = &mut node.children[index];
            node.bytes += bytes;
        }
    }
    root
}

fn depth(node: &Node) -> usize {
    1 + node.children.iter().map(depth).max().unwrap_or(0)
}

/// Draws `node` at `x`, and what it called on top of it.
fn draw(out: &mut impl Write, node: &Node, all: u64, x: f64, scale: f64, y: usize) -> io::Result<()> {
    let width = node.bytes as f64 * scale;
    if width < WIDTH_MIN {
        return Ok(());
    }
    let share = node.bytes as f64 / all as f64 * 100.0;
    let (name, bytes) = (escape(node.name), size(node.bytes));
    write!(
        out,
        r#"<g><title>{name}: {bytes}, {share:.1} %</title><rect x="{x:.1}" y="{y}" width="{width:.1}" height="{ROW_HEIGHT}" rx="2" fill="{}"/>"#,
        colour(node.name)
    )?;
    let letters = ((width - 6.0) / LETTER_WIDTH).max(0.0) as usize;
    if letters >= 3 {
        let count = node.name.chars().count();
        let shown: String = if count <= letters {
            node.name.to_owned()
        } else {
            node.name.chars().take(letters - 2).chain("..".chars()).collect()
        };
        write!(out, r#"<text x="{:.1}" y="{}">{}</text>"#, x + 3.0, y + 13, escape(&shown))?;
    }
    writeln!(out, "</g>")?;
    let mut child_x = x;
    for child in &node.children {
        draw(out, child, all, child_x, scale, y - ROW_HEIGHT)?;
        child_x += child.bytes as f64 * scale;
    }
    Ok(())
}

/// A warm colour, the same for the same function in every picture.
fn colour(name: &str) -> String {
    let hash = name.bytes().fold(0xCBF2_9CE4_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("hsl({},{}%,{}%)", 12 + hash % 40, 75 + hash / 64 % 20, 62 + hash / 4096 % 14)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Bytes with a unit.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_become_a_tree_whose_boxes_are_as_wide_as_their_bytes() {
        let mut svg = Vec::new();
        write(&mut svg, &[("main (a<b>:1)", 100), ("main (a<b>:1);f (a:2)", 300), ("other (x:1)", 800)])
            .expect("memory");
        let svg = String::from_utf8(svg).expect("text");
        assert!(svg.contains("<title>main (a&lt;b&gt;:1): 400 B, 33.3 %</title>"), "{svg}");
        assert!(svg.contains("<title>f (a:2): 300 B, 25.0 %</title><rect x=\"10.0\""), "{svg}");
        assert!(svg.contains("<title>other (x:1): 800 B, 66.7 %</title><rect x=\"403.3\""), "{svg}");
        assert_eq!(svg.matches("<g>").count(), svg.matches("</g>").count());
    }

    #[test]
    fn a_profile_without_samples_is_a_picture_too() {
        let mut svg = Vec::new();
        write(&mut svg, &[]).expect("memory");
        assert!(String::from_utf8(svg).expect("text").ends_with("0 B</text>\n</svg>\n"));
    }
}
