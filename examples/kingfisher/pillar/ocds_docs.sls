# The sites of the documentation, by path. The first version and the first language are where a bare address leads.
docs:
  /:
    versions: [latest, '1.1', '1.0']
    languages: [en, es, fr, it]
  /infrastructure:
    versions: [latest, '0.9']
    languages: [en]
  /profiles/ppp:
    versions: [latest, '1.0']
    languages: [en, es]
