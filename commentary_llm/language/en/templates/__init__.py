"""Template lines: what is said when no generated clause is ready or true."""

from commentary_llm.language.en.templates.writer import TemplateLine, TemplateWriter

__all__ = ["TemplateLine", "TemplateWriter"]
