//! YAML events to a tree.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::merge::merge;
use super::offsets::Offsets;
use super::{Entry, Mapping, Node, Span};
use crate::Limits;
use crate::diagnostic::{Draft, Sink, code, error};
use crate::sources::File;

/// A parsed file.
pub(crate) struct Document {
    pub(crate) root: Node,
    /// Where the anchored nodes stand.
    pub(crate) anchors: Vec<Span>,
}

impl Document {
    /// The place of a key of the top level; the start of the file if it is not there.
    pub(crate) fn key_span(&self, key: &str) -> Span {
        let root = self.root.as_mapping();
        root.and_then(|root| root.key_span(key)).unwrap_or_default()
    }
}

/// Parses a file. Without a tree there is at least one error in the sink; duplicate keys and bad
/// merges are reported but still give a tree.
pub(crate) fn parse(file: &File<'_>, limits: &Limits, sink: &Sink<'_>) -> Option<Document> {
    let mut offsets = Offsets::new(file.text, file.base);
    let mut text = Cow::Borrowed(file.text);
    loop {
        match build(&text, &offsets, limits, sink) {
            Ok(document) => return document_or_empty(document, file, sink),
            Err(Failure::Draft(draft)) => {
                sink.push(draft);
                return None;
            }
            Err(Failure::Scan(failure)) if offsets.can_shift() && is_closer(&text, &failure) => {
                let at = failure.marker().index();
                text = Cow::Owned(shifted(&text, at));
                offsets.shift(at);
            }
            Err(Failure::Scan(failure)) => {
                sink.push(syntax_error(file, &offsets, &failure));
                return None;
            }
        }
    }
}

/// Why there is no tree.
enum Failure {
    Draft(Draft),
    Scan(ScanError),
}

/// Whether the scanner refuses a closing bracket for its column. By YAML's letter it must stand
/// further in than the key that the list belongs to; but people write it below that key, and
/// CircleCI reads it.
fn is_closer(text: &str, failure: &ScanError) -> bool {
    let at = text.chars().nth(failure.marker().index());
    failure.info() == "invalid indentation" && matches!(at, Some(']' | '}'))
}

/// The text with one space more before a character.
fn shifted(text: &str, character: usize) -> String {
    let at = text.char_indices().nth(character);
    let (before, after) = text.split_at(at.map_or(text.len(), |(at, _)| at));
    format!("{before} {after}")
}

fn document_or_empty(
    (root, anchors): (Option<Node>, Vec<Span>),
    file: &File<'_>,
    sink: &Sink<'_>,
) -> Option<Document> {
    match root {
        Some(root) if !root.is_null() => Some(Document { root, anchors }),
        _ => {
            sink.push(empty_config(file.base));
            None
        }
    }
}

/// The tree of a text, and the places of its anchors.
fn build(
    text: &str,
    offsets: &Offsets,
    limits: &Limits,
    sink: &Sink<'_>,
) -> Result<(Option<Node>, Vec<Span>), Failure> {
    let mut builder = Builder {
        sink,
        limits,
        nodes: 0,
        stack: vec![],
        anchors: HashMap::new(),
        root: None,
    };
    let mut parser = Parser::new_from_str(text);
    let mut documents = 0;
    while let Some(next) = parser.next_event() {
        let step = match next {
            Ok((Event::DocumentStart(_), span)) => {
                documents += 1;
                if documents > 1 {
                    Err(several_documents(offsets.span(span)))
                } else {
                    Ok(())
                }
            }
            Ok((event, span)) => builder.event(event, offsets.span(span)),
            Err(failure) => return Err(Failure::Scan(failure)),
        };
        step.map_err(Failure::Draft)?;
    }
    let anchors = builder.anchors.values().map(|node| node.span).collect();
    Ok((builder.root, anchors))
}

/// Builds the tree without recursion, so that depth is ours to bound.
struct Builder<'a> {
    sink: &'a Sink<'a>,
    limits: &'a Limits,
    nodes: usize,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
}

struct Frame {
    span: Span,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping {
        mapping: Mapping,
        key: Option<(Rc<str>, Span, bool)>,
        merged: Vec<Node>,
    },
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Draft> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = is_text(tag.as_deref()).unwrap_or(style != ScalarStyle::Plain);
                let node = Node::scalar(span, text.as_ref(), quoted);
                self.add(node, anchor)
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::SequenceStart(anchor, _) => self.open(span, anchor, Content::Sequence(vec![])),
            Event::MappingStart(anchor, _) => {
                let content = Content::Mapping {
                    mapping: Mapping::default(),
                    key: None,
                    merged: vec![],
                };
                self.open(span, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            _ => Ok(()),
        }
    }

    fn open(&mut self, span: Span, anchor: usize, content: Content) -> Result<(), Draft> {
        if self.stack.len() >= self.limits.depth {
            return Err(too_deep(span, self.limits.depth));
        }
        self.stack.push(Frame {
            span,
            anchor,
            content,
        });
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), Draft> {
        let Some(Frame {
            span,
            anchor,
            content,
        }) = self.stack.pop()
        else {
            return Ok(());
        };
        let span = Span {
            start: span.start,
            end: end.end.max(span.end),
        };
        let node = match content {
            Content::Sequence(items) => Node::sequence(span, items),
            Content::Mapping {
                mut mapping,
                merged,
                ..
            } => {
                merge(self.sink, &mut mapping, &merged);
                let node = Node::mapping(span, mapping);
                if !merged.is_empty() {
                    self.count(node.nodes, span)?;
                }
                node
            }
        };
        self.add(node, anchor)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Draft> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(error(
                code::RECURSIVE_ALIAS,
                span,
                "this alias stands in its own anchor",
            )
            .help("move the anchor to a node that does not hold the alias"));
        };
        if self.stack.len() + node.height > self.limits.depth {
            return Err(too_deep(span, self.limits.depth));
        }
        self.count(node.nodes - 1, span)?;
        self.add(node, 0)
    }

    /// Counts nodes against the limit, those behind aliases each time they are used.
    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Draft> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.limits.nodes {
            let limit = self.limits.nodes;
            let message =
                format!("with its aliases expanded, the config has more than {limit} nodes");
            return Err(error(code::TOO_MANY_NODES, span, message)
                .help("aliases of aliases multiply: use fewer of them, or split the config"));
        }
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Draft> {
        self.count(1, node.span)?;
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut frame.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping {
                mapping,
                key,
                merged,
            } => match key.take() {
                None => *key = Some(as_key(&node)?),
                Some((_, _, true)) => merged.push(node),
                Some((name, span, false)) => insert(self.sink, mapping, name, span, node),
            },
        }
        Ok(())
    }
}

/// A key's text, its place, and whether it is the merge key.
fn as_key(node: &Node) -> Result<(Rc<str>, Span, bool), Draft> {
    match node.as_scalar() {
        Some(scalar) => {
            let merge = &*scalar.text == "<<" && !scalar.quoted;
            Ok((scalar.text.clone(), node.span, merge))
        }
        None => {
            let message = format!("a key must be text, not {}", node.kind());
            Err(error(code::COMPLEX_KEY, node.span, message)
                .help("put quotes around a value that starts with `{`, `[` or `<<`"))
        }
    }
}

fn insert(sink: &Sink<'_>, mapping: &mut Mapping, name: Rc<str>, span: Span, value: Node) {
    if let Some(first) = mapping.entries.get(&name) {
        sink.push(
            error(
                code::DUPLICATE_KEY,
                span,
                format!("key `{name}` is there twice"),
            )
            .label(first.key_span, "first here")
            .help("remove one of the two, or merge them"),
        );
        return;
    }
    mapping.entries.insert(
        name,
        Entry {
            key_span: span,
            value,
        },
    );
}

/// Whether a tag says that a scalar is text, whatever it looks like; nothing if it does not speak of
/// that.
fn is_text(tag: Option<&Tag>) -> Option<bool> {
    match tag.filter(|tag| tag.is_yaml_core_schema())?.suffix.as_str() {
        "str" => Some(true),
        "bool" | "int" | "float" | "null" => Some(false),
        _ => None,
    }
}

fn too_deep(span: Span, limit: usize) -> Draft {
    error(
        code::TOO_DEEP,
        span,
        format!("nested more than {limit} levels deep"),
    )
    .help("flatten the config; check for brackets that are never closed")
}

fn several_documents(span: Span) -> Draft {
    error(
        code::SEVERAL_DOCUMENTS,
        span,
        "a config is a single YAML document; a second one starts here",
    )
    .help("remove the `---` line and what follows it")
}

fn empty_config(base: u32) -> Draft {
    let start = Span {
        start: base,
        end: base,
    };
    error(code::CONFIG_EMPTY, start, "the config is empty")
        .help("start with `version: 2.1` and a job called `build`; see examples/quickstart")
}

fn syntax_error(file: &File<'_>, offsets: &Offsets, failure: &ScanError) -> Draft {
    let at = offsets.byte(failure.marker().index());
    let mut info = failure.info().trim_end_matches('.').to_owned();
    if let Some(first) = info.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    let line = file
        .text
        .get(..at as usize)
        .map_or("", |before| before.rsplit('\n').next().unwrap_or(""));
    let help = if line.contains('\t') {
        "YAML indents with spaces: replace the tab"
    } else if info.contains("unknown anchor") {
        "an alias `*name` needs an anchor `&name` before it"
    } else if info.contains("mapping values are not allowed") {
        "put quotes around a text that holds a colon and a space; otherwise check the indentation"
    } else if info.contains("unexpected character") {
        "put quotes around a text that starts with this character"
    } else {
        "check indentation, colons, quotes and brackets here and on the line before"
    };
    error(
        code::SYNTAX,
        Span {
            start: file.base + at,
            end: file.base + at + 1,
        },
        format!("not valid YAML: {info}"),
    )
    .help(help)
}
