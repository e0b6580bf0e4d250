# The smallest guest that proves a processor: it writes to the debug port in real mode, goes to long mode with paging as
# every kernel of today does, writes the rest there, and asks the machine to end.
# rrsim/doctor/boot.py holds it assembled; a test assembles it again and compares.
    .code16
    .globl _start
_start:
    ljmp $0, $begin
begin:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    movb $'r', %al
    outb %al, $0xe9
    # Three tables that map the first two MiB to themselves.
    movl $0x1000, %edi
    movl %edi, %cr3
    xorl %eax, %eax
    movl $0xc00, %ecx
    cld
    rep stosl
    movl $0x2003, 0x1000
    movl $0x3003, 0x2000
    movl $0x0083, 0x3000
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    lgdt table
    movl %cr0, %eax
    orl $0x80000001, %eax
    movl %eax, %cr0
    ljmp $8, $long
    .code64
long:
    movl $words, %esi
    movl $5, %ecx
    movw $0xe9, %dx
    rep outsb
    movb $0x10, %al
    outb %al, $0xf4
rest:
    hlt
    jmp rest
words:
    .ascii "rsim\n"
    .balign 8
entries:
    .quad 0
    .quad 0x00209a0000000000
table:
    .word 15
    .long entries
    .org 510
    .word 0xaa55
