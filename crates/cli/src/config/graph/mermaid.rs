//! For Markdown.

use outrider_config::expanded::ExpandedWorkflow;
use outrider_model::plan::JobKind;

use super::facts::{condition, facts};

/// A flowchart with a box for each workflow.
pub fn draw(workflows: &[ExpandedWorkflow]) -> String {
    let boxes = workflows.iter().enumerate();
    let boxes: String = boxes
        .map(|(index, workflow)| draw_one(index, workflow))
        .collect();
    format!("flowchart LR\n{boxes}")
}

fn draw_one(index: usize, workflow: &ExpandedWorkflow) -> String {
    let mut text = format!("  subgraph w{index}[{}]\n", quoted(&workflow.name));
    let id = |name: &str| {
        let at = workflow.jobs.iter().position(|job| job.plan.name == name);
        at.map(|at| format!("w{index}j{at}"))
    };
    for (at, job) in workflow.jobs.iter().enumerate() {
        let label = [vec![job.plan.name.clone()], facts(job)]
            .concat()
            .join(", ");
        let (open, close) = match job.plan.kind {
            JobKind::Approval => ("{{", "}}"),
            _ => ("[", "]"),
        };
        text += &format!("    w{index}j{at}{open}{}{close}\n", quoted(&label));
    }
    for (at, job) in workflow.jobs.iter().enumerate() {
        for requirement in &job.plan.requires {
            let Some(from) = id(&requirement.job) else {
                continue;
            };
            let label = condition(requirement).map_or_else(String::new, |it| format!("|{it}|"));
            text += &format!("    {from} -->{label} w{index}j{at}\n");
        }
    }
    text + "  end\n"
}

/// A text that Mermaid shows as it is.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            c if c.is_control() => quoted.push(' '),
            '"' => quoted += "#quot;",
            '#' | '<' | '>' | '&' | '`' | '\\' | '*' | '_' => {
                quoted += &format!("#{};", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn nothing_in_a_name_means_anything() {
        assert_eq!(
            quoted("a \"b\" #1 <i>\n`x`"),
            "\"a #quot;b#quot; #35;1 #60;i#62; #96;x#96;\""
        );
    }
}
