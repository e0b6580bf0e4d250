"""Images of Microsoft's Windows, built from the reader's own medium.

``recipe`` reads what an image is; ``media`` checks the files it is made from; ``answer_file`` writes the answers for
Windows Setup and ``answer_check`` reads them critically; ``provision_medium`` packs them with the scripts that set
Windows up; ``build`` goes through the steps and can be taken up again; ``expiry`` says when an evaluation is over;
``verify`` asks a finished image what nobody could look up. The machines for it come from ``rrsim.backends.live.vm``:
its ``workshop`` and ``subject``. No Windows medium was at hand when this was written: every part is tested without one,
and none has met a real Windows yet.
"""
